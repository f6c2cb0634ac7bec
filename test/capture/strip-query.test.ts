import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CLICK_IDS, createStripper } from '../../src/capture/strip-query.ts';
import { readSettings, type TrackUsageOptions } from '../../src/options/tracker-options.ts';
import { ENGINES, type Engine, serve } from '../support/engines.ts';

const node = ENGINES.find(({ name }) => name === 'node:http') as Engine;
const strip = createStripper(CLICK_IDS);

describe('createStripper', () => {
  test.each([
    // Nothing to remove
    ['', ''],
    ['/', '/'],
    ['*', '*'],
    ['/gclid', '/gclid'],
    ['/a#?gclid=1', '/a#?gclid=1'],
    ['/?', '/?'],
    ['/?&&', '/?&&'],
    ['/?=gclid', '/?=gclid'],
    ['/?q=gclid&gclids=1&xgclid=2&gcli=3', '/?q=gclid&gclids=1&xgclid=2&gcli=3'],
    ['/?utm_source=mail&utm_medium=x', '/?utm_source=mail&utm_medium=x'],
    ['/?next=/a?gclid=1', '/?next=/a?gclid=1'],
    ['/?q=%zz&%=%&é=ü', '/?q=%zz&%=%&é=ü'],
    // The only parameter
    ['/?gclid=1', '/'],
    ['/?gclid', '/'],
    ['/?gclid=', '/'],
    ['/?gclid=1#top', '/#top'],
    ['/?gclid=1&fbclid=2&gclid=3', '/'],
    // Among others
    ['/?gclid=1&a=2', '/?a=2'],
    ['/?a=2&gclid=1', '/?a=2'],
    ['/?a=1&gclid=1&b=2#c?gclid=3', '/?a=1&b=2#c?gclid=3'],
    ['/?a=1&gclid=x=y?z&fbclid=2&b=2&msclkid=3&c', '/?a=1&b=2&c'],
    ['/?a=1&&gclid=1', '/?a=1&'],
    ['/?GCLID=1&ScCid=2&sccid=3&a=1', '/?a=1'],
    ['https://example.org/x?fbclid=1', 'https://example.org/x'],
  ])('strips %s', (url, expected) => {
    expect(strip(url)).toBe(expected);
  });

  test('names may have wildcards', () => {
    const wild = createStripper(['utm_*', '*_id', 'a*b*c', 'Exact', 'x'.repeat(40)]);
    const kept = 'utm=1&idx=1&ac=1&abx=1&_ida=1';
    const gone = `utm_=1&UTM_Source=2&_id=3&user_id=4&abc=5&aXbYc=6&axbxcxbxc=7&exact=8&${'x'.repeat(40)}=9`;
    expect(wild(`/?${gone}`)).toBe('/');
    expect(wild(`/?${kept}`)).toBe(`/?${kept}`);
    expect(createStripper(['ab*ba'])('/?aba=1&abba=2')).toBe('/?aba=1');
    expect(createStripper([])('/?gclid=1')).toBe('/?gclid=1');
  });

  test('removes exactly the parameters with these names', () => {
    const name = fc.oneof(
      fc.constantFrom(...CLICK_IDS),
      fc.string({ unit: fc.constantFrom(...'gclidfb_%é') }),
    );
    const value = fc.string({ unit: fc.constantFrom(...'ab=?/;%') });
    const names = new Set(CLICK_IDS.map((one) => one.toLowerCase()));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { minLength: 1 }), (parameters) => {
        const text = (list: typeof parameters) => list.map((pair) => pair.join('=')).join('&');
        const kept = parameters.filter(([one]) => !names.has(one.toLowerCase()));
        const url = strip(`/a?${text(parameters)}#b`);
        expect(url).toBe(kept.length === 0 ? '/a#b' : `/a?${text(kept)}#b`);
      }),
    );
  });

  test('takes linear time', () => {
    const wild = createStripper(['a*a*a*a*a*b']);
    const url = `/?${'a'.repeat(60_000)}=1`;
    const started = performance.now();
    expect(wild(url)).toBe(url);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

test.each<[false | string[] | undefined, string, string]>([
  [undefined, '/a?utm_source=x&token=REDACTED', '/r?utm_id=1'],
  [['utm_*'], '/a?gclid=1&token=REDACTED', '/r?fbclid=1'],
  [false, '/a?gclid=1&utm_source=x&token=REDACTED', '/r?fbclid=1&utm_id=1'],
])('the option stripQuery: %j', async (stripQuery, url, referrer) => {
  const site = await serve(node, { usage: stripQuery === undefined ? {} : { stripQuery } });
  await site.client.request({
    path: '/a?gclid=1&utm_source=x&token=abc',
    headers: { Referer: 'http://example.org/r?fbclid=1&utm_id=1' },
  });
  const record = await site.recorder.takeOne();
  await site.close();
  expect(record).toMatchObject({ referrer: `http://example.org${referrer}` });
  expect(record.url.replace(/^http:\/\/[^/]+/, '')).toBe(url);
  expect(Object.keys(record.query ?? {})).toEqual([...url.matchAll(/[?&](\w+)=/g)].map(([, name]) => name));
});

test.each([null, true, 'gclid', [''], [1], ['*']])('rejects stripQuery: %j', (stripQuery) => {
  const create = () => readSettings({ stripQuery } as unknown as TrackUsageOptions);
  expect(create).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});
