import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Extra } from '../../src/batch.ts';
import { withoutUrlKey, withUrlKey } from '../../src/summaries/url-key.ts';

test('a key is added to other data of a record and removed again', () => {
  const values = fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 });
  const others = fc.record({ routeParams: values, vars: values, keys: values }, { requiredKeys: [] });
  fc.assert(
    fc.property(others, fc.string({ unit: 'grapheme', minLength: 1 }), (given, urlKey) => {
      const extra = Object.keys(given).length === 0 ? '' : JSON.stringify(given);
      const added = withUrlKey(extra, urlKey);
      expect((JSON.parse(added) as Extra).urlKey).toBe(urlKey);
      const removed = withoutUrlKey(added);
      expect(removed).toEqual({ extra, urlKey });
    }),
  );
});

test('a value of the app with the same name is not a key', () => {
  for (const extra of ['', '{"vars":{"urlKey":"/a"}}', '{"routeParams":{"urlKey":"/a"}}']) {
    expect(withoutUrlKey(extra)).toEqual({ extra, urlKey: undefined });
  }
});
