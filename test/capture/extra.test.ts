import fc from 'fast-check';
import { expect, test } from 'vitest';
import { extraOf, jsonOf } from '../../src/capture/extra.ts';
import { fitForEngines } from '../../src/text/text.ts';

const fail = (error: unknown) => {
  throw error;
};

test('vars and parameters hold nothing that an engine refuses or changes', () => {
  const json = extraOf(
    { 'i\0d': '\udc00' },
    { half: 'a\ud800', nul: '\0', path: 'C:\\u0000', line: '\n', whole: '😀' },
    '',
    fail,
  );
  expect(JSON.parse(json)).toEqual({
    routeParams: { 'i\ufffdd': '\ufffd' },
    vars: { half: 'a\ufffd', nul: '\ufffd', path: 'C:\\u0000', line: '\n', whole: '😀' },
  });
});

test('plain texts are written as JSON writes them', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('"', '\\', '\n', '\ud83d'),
  );
  const values = fc.oneof(texts, texts, fc.jsonValue(), fc.constant(undefined));
  fc.assert(
    fc.property(fc.dictionary(texts, values), (given) => {
      const expected = fitForEngines(JSON.stringify(given));
      expect(jsonOf(given, Infinity, fail)).toBe(expected === '{}' ? '' : expected);
    }),
  );
});

test.each([
  ['an array', ['a']],
  ['what writes itself as a text', { toJSON: () => 'text' }],
  ['what is longer than there is room', { a: 'b'.repeat(10) }],
])('%s is left out', (_, given) => {
  const failures: unknown[] = [];
  expect(jsonOf(given, 10, (error) => failures.push(error))).toBe('');
  expect(failures).toHaveLength(1);
});

test('what is inherited is left out', () => {
  expect(jsonOf(Object.create({ a: 'b' }, { c: { value: 'd', enumerable: true } }), 100, () => {})).toBe(
    '{"c":"d"}',
  );
});
