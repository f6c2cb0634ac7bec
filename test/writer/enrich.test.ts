import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Enricher } from '../../src/writer/enrich/enricher.ts';

const enricher = new Enricher(undefined);
const KHTML = 'AppleWebKit/537.36 (KHTML, like Gecko)';

describe('userAgent', () => {
  const chrome = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${KHTML} Chrome/126.0.0.0 Safari/537.36`;

  test.each([
    ['', null, null, null, false],
    [chrome, 'Chrome', '126.0.0.0', 'Windows', false],
    [`${chrome} Edg/126.0.2592.61`, 'Microsoft Edge', '126.0.2592.61', 'Windows', false],
    [`${chrome} OPR/51.0.2830.55,gzip(gfe)`, 'Opera', '51.0.2830.55', 'Windows', false],
    [
      'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
      'Firefox',
      '128.0',
      'Linux',
      false,
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
      'Safari',
      '17.5',
      'macOS',
      false,
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
      'Safari',
      '17.5',
      'iOS',
      false,
    ],
    [
      `Mozilla/5.0 (Linux; Android 14; Pixel 8) ${KHTML} Chrome/126.0.0.0 Mobile Safari/537.36`,
      'Chrome',
      '126.0.0.0',
      'Android',
      false,
    ],
    [
      'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
      'Googlebot',
      '2.1',
      null,
      true,
    ],
    ['curl/8.5.0', 'curl', '8.5.0', null, true],
    ['python-requests/2.31.0', 'python-requests', '2.31.0', null, true],
    ['Wget/1.21.2 (linux-gnu)', 'Wget', '1.21.2', 'Linux', true],
    ['<script>alert(1)</script>', 'script', null, null, true],
    ['\u001b[31mevil/1 (x', null, null, null, false],
    ['=cmd()/1.0 (x)', 'cmd', null, null, true],
    ['opr/\u001b[31m', 'Opera', null, null, false],
  ])('parses "%s"', (agent, browser, version, platform, bot) => {
    expect(enricher.userAgent(agent)).toMatchObject({ browser, version, platform, bot });
  });

  test.each([
    ['', null],
    [chrome, 'desktop'],
    [`Mozilla/5.0 (Linux; Android 14; Pixel 8) ${KHTML} Chrome/126.0.0.0 Mobile Safari/537.36`, 'mobile'],
    ['Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148', 'tablet'],
    [`Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) ${KHTML} Version/7.0 TV Safari/537.36`, 'tv'],
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'bot'],
    ['curl/8.5.0', 'bot'],
    ['\u001b[31mevil/1 (x', null],
  ])('recognizes the device of "%s"', (agent, device) => {
    expect(enricher.userAgent(agent).device).toBe(device);
  });

  test('ignores text beyond the limit', () => {
    const long = 'x'.repeat(1_100);
    expect(enricher.userAgent(`${chrome} ${long}`).browser).toBe('Chrome');
    expect(enricher.userAgent(`${long} ${chrome}`).browser).toBe('unknown');
  });
});

describe('language', () => {
  test.each([
    ['', null],
    ['en', 'en'],
    ['en-us', 'en-US'],
    ['EN-us, en;q=0.9, de;q=0.8', 'en-US'],
    ['de;q=0.5, fr;q=0.9, en;q=0.7', 'fr'],
    ['de;q=0.5,fr;q=0.5', 'de'],
    ['zh-hant-tw', 'zh-Hant-TW'],
    ['*', null],
    ['*, de;q=0.5', 'de'],
    ['en;q=0', null],
    ['en;q=0, de;q=0.1', 'de'],
    ['en;q=x, de;q=0.1', 'de'],
    ['en_US', null],
    ['<script>, de;q=0.1', 'de'],
    ['und', null],
    ['-', null],
    ['en-US;q=0.5;', 'en-US'],
    ['de-CH-x-aaaaaaaa-bbbbbbbb-c-dddddd-eeeeeeee', 'de-CH-x-aaaaaaaa-bbbbbbbb-c-dddddd'],
    ['de-CH-x-aaaaaaaa-bbbbbbbb-c-dddddddd', 'de-CH-x-aaaaaaaa-bbbbbbbb'],
    // Truncated before its weight, the last language would be preferred.
    [`de;q=0.5,${' '.repeat(237)}fr;q=0.1`, 'de'],
    ['x'.repeat(65_536), null],
  ])('of "%s" is %s', (header, expected) => {
    expect(enricher.language(header)).toBe(expected);
  });
});

describe('locate', () => {
  test('looks an address up once, and never throws', () => {
    const requested: string[] = [];
    const geo = (address: string) => {
      requested.push(address);
      if (address === 'bad') throw new Error('damaged');
      return { country: 'DE', geo: { city: 'Berlin' } };
    };
    const withGeo = new Enricher(geo);
    const nowhere = { country: null, geo: null };
    const addresses = ['192.0.2.1', '192.0.2.1', 'bad', 'bad', ''];
    expect(addresses.map((address) => withGeo.locate(address))).toEqual([
      { country: 'DE', geo: { city: 'Berlin' } },
      { country: 'DE', geo: { city: 'Berlin' } },
      nowhere,
      nowhere,
      nowhere,
    ]);
    expect(requested).toEqual(['192.0.2.1', 'bad']);
    expect(enricher.locate('192.0.2.1')).toEqual(nowhere);
  });
});

test('never throws for any text, and returns short printable values', () => {
  const part = fc.oneof(
    fc.constantFrom(
      'Mozilla/5.0',
      'Chrome/',
      'Version/',
      'Opera/',
      'Android',
      ' (',
      ')',
      '/',
      ';',
      ',',
      'q=',
      '-',
      '1.',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const text = parts.join('');
      const { browser, version, platform } = enricher.userAgent(text);
      for (const found of [browser, version, platform])
        if (found !== null) expect(found).toMatch(/^[ -~]{1,64}$/);
      const language = enricher.language(text);
      if (language !== null) expect(language).toMatch(/^[\w-]{2,35}$/);
      enricher.locate(text);
    }),
    { numRuns: 2_000 },
  );
});

test('processes 64 KiB within 0.5 s', () => {
  const parts = [
    'a',
    '/',
    ' ',
    '(',
    '1',
    ',',
    ';',
    '-',
    'en-',
    'opera/1.',
    '(/ \t',
    'Macintosh',
    'version/',
    'a;q=1,',
    '\0',
  ];
  for (const part of parts) {
    const text = part.repeat(65_536 / part.length);
    const began = performance.now();
    enricher.userAgent(text);
    enricher.language(text);
    enricher.locate(text);
    expect(performance.now() - began).toBeLessThan(500);
  }
});
