import { describe, expect, test } from 'vitest';
import { difference } from '../../dashboard/src/format/change.ts';
import { gapText } from '../../dashboard/src/format/coverage.ts';
import { showBucket, showInstant, showRange, showTick } from '../../dashboard/src/format/dates.ts';
import { healthOf } from '../../dashboard/src/format/health.ts';
import {
  differencesOf,
  inTwo,
  keyText,
  keyTexts,
  linkOf,
  sharedOrigin,
  visible,
} from '../../dashboard/src/format/keys.ts';
import { measureOf, shareOf, showShare } from '../../dashboard/src/format/measures.ts';
import { bytes, compact, duration, percent } from '../../dashboard/src/format/numbers.ts';
import { shown } from '../../src/server/api.ts';
import { statusOf } from '../server/support.ts';

describe('numbers', () => {
  test.each([
    [compact, 0, '0'],
    [compact, 999, '999'],
    [compact, 999.6, '1.0K'],
    [compact, 12_000, '12.0K'],
    [compact, 12_345, '12.3K'],
    [compact, 999_999, '1.0M'],
    [bytes, 0, '0 B'],
    [bytes, 999, '999 B'],
    [bytes, 1_000, '1.0 kB'],
    [bytes, 999_960, '1.0 MB'],
    [bytes, 3.5e15, '3.5 PB'],
    [bytes, 3.5e18, '3.5 EB'],
    [duration, 850, '850 µs'],
    [duration, 999.7, '1.0 ms'],
    [duration, 1_234_000, '1.2 s'],
    [duration, 90_000_000, '1.5 min'],
    [duration, 7_200_000_000, '2.0 h'],
    [percent, 0, '0%'],
    [percent, 0.0001, '<0.1%'],
    [percent, 0.999_9, '>99.9%'],
    [percent, 1, '100%'],
    [percent, 0.123, '12.3%'],
  ])('%o of %d is %s', (format, value, text) => expect(format(value)).toBe(text));
});

describe('changes', () => {
  test.each([
    [120, 100, 'up', { text: '20.0%', meaning: 'good', direction: 'up', isMinor: false }],
    [80, 100, 'up', { text: '20.0%', meaning: 'bad', direction: 'down', isMinor: false }],
    [120, 100, 'down', { text: '20.0%', meaning: 'bad', direction: 'up', isMinor: false }],
    [120, 100, null, { text: '20.0%', meaning: 'neutral', direction: 'up', isMinor: false }],
    [1, 0, 'down', { text: 'new', meaning: 'bad', direction: 'up', isMinor: false }],
    [24, 1, 'up', { text: '×24', meaning: 'good', direction: 'up', isMinor: false }],
    [100_000, 1, 'up', { text: '×100,000', meaning: 'good', direction: 'up', isMinor: false }],
    [100_001, 100_000, 'up', { text: '<0.1%', meaning: 'neutral', direction: 'up', isMinor: true }],
    [5, 5, 'up', { text: '0%', meaning: 'neutral', direction: 'same', isMinor: true }],
    [0, 0, 'up', null],
    [null, 1, 'up', null],
    [1, undefined, 'up', null],
  ] as const)('from %o to %o', (value, before, better, expected) => {
    expect(difference(value, before, { better })).toEqual(expected);
  });

  test.each([
    [0.05, 0.03, { text: '2.0 points', meaning: 'bad', direction: 'up', isMinor: false }],
    [0.01, 0.5, { text: '49.0 points', meaning: 'good', direction: 'down', isMinor: false }],
    [0.001, 0.000_1, { text: '0.1 points', meaning: 'neutral', direction: 'up', isMinor: true }],
    [0.000_2, 0.000_1, { text: '<0.1 points', meaning: 'neutral', direction: 'up', isMinor: true }],
    [0.02, 0.02, { text: '0 points', meaning: 'neutral', direction: 'same', isMinor: true }],
  ] as const)('of a rate from %o to %o are in points', (value, before, expected) => {
    expect(difference(value, before, measureOf('errors'))).toEqual(expected);
  });
});

describe('shares', () => {
  const row = { hits: 1, transfer: 50, errors: 0, duration: 30 };
  const all = { hits: 10, transfer: 100, errors: 0, duration: 40 };
  test.each([
    ['hits', '10.0%'],
    ['transfer', '50.0%'],
    ['errors', ''],
    ['duration', '75.0%'],
    ['average', ''],
  ] as const)('by %s are shares of that measure', (order, text) => {
    expect(showShare(shareOf(row, all, order))).toBe(text);
  });
});

describe('dates', () => {
  test('use the time zone of the site, not of the browser', () => {
    const date = '2026-11-25T00:00:00+14:00';
    expect(showBucket(date, 'day')).toBe('Wed, 25 Nov 2026');
    expect(showBucket(date, 'month')).toBe('November 2026');
    expect(showBucket('2026-11-25T21:00:00-08:00', 'hour')).toMatch(/^Wed,? 25 Nov,? 21:00$/);
    expect(showTick(date, 'hour', true)).toBe('25 Nov');
    expect(showTick(date, 'hour', false)).toBe('00:00');
    expect(showRange({ from: '2025-12-01T00:00:00Z', to: '2026-11-25T20:00:00Z' })).toBe(
      '1 Dec 2025 – 25 Nov 2026',
    );
    expect(showRange({ from: date, to: date })).toBe('Wed, 25 Nov 2026');
    expect(showInstant('1970-01-01T09:00:00.123+09:00', 'Asia/Tokyo').text).toBe('1 Jan, 09:00:00');
    expect(showInstant('1970-01-01T00:00:00Z', 'Asia/Tokyo').text).toBe('1 Jan, 09:00:00');
  });
});

describe('keys', () => {
  test('have names, and missing keys have labels', () => {
    expect(keyText('geo', 'DE')).toEqual({ text: 'Germany', title: 'DE', mark: 'DE' });
    expect(keyText('geo', 'germany').text).toBe('germany');
    expect(keyText('languages', 'de-AT').text).toBe('Austrian German');
    expect(keyText('languages', '!').text).toBe('!');
    expect(keyText('referrers', null).text).toBe('Direct');
    expect(keyText('bots', null).text).toBe('People');
    expect(keyText('plans', null).text).toBe('(none)');
    expect(keyText('referrers', 'https://example.org/a').text).toBe('example.org/a');
  });

  test('URLs omit the most common origin', () => {
    const urls = ['http://a/1', 'http://a/2', 'http://b/', null];
    expect(sharedOrigin(urls)).toBe(null);
    expect(sharedOrigin(urls.slice(0, 3))).toBe('http://a');
    expect(keyText('urls', 'http://a/1', 'http://a').text).toBe('/1');
    expect(keyText('urls', 'http://a.example/', 'http://a').text).toBe('http://a.example/');
  });

  test('invisible and bidirectional characters are replaced', () => {
    expect(visible('a\u202eb\n')).toBe('a\ufffdb\u240a');
    expect(visible(' ')).toBe('“ ”');
    expect(visible('\n')).toBe('“\u240a”');
  });

  test('long keys are truncated in the middle, between complete characters', () => {
    expect(inTwo('short')).toEqual(['short', '']);
    const [head, tail] = inTwo('😀'.repeat(1_000));
    expect([[...head].length, [...tail].length]).toEqual([400, 14]);
    expect(head.isWellFormed() && tail.isWellFormed()).toBe(true);
  });

  test('right-to-left keys are not split', () => {
    for (const text of ['\u05e9'.repeat(60), `http://a/${'\u0639'.repeat(60)}`])
      expect(inTwo(text)).toEqual([text, '']);
  });

  test('the part in which similar keys differ stays visible', () => {
    const start = `/catalog/shoes/${'x'.repeat(40)}`;
    const end = `&utm_source=${'y'.repeat(40)}`;
    const keys = [`${start}?id=17${end}`, `${start}?id=23${end}`, '/', '/', null];
    const parts = keyTexts('urls', keys).map(({ text, differsFrom }) => inTwo(text, differsFrom));
    expect(parts.slice(0, 3)).toEqual([
      [start, `?id=17${end.slice(0, 17)}…`],
      [start, `?id=23${end.slice(0, 17)}…`],
      ['/', ''],
    ]);
    // The beginning of a row is always visible, and its end if nothing else is more useful.
    const early = [`a${'z'.repeat(80)}1`, `b${'z'.repeat(80)}2`];
    expect(early.map((text, index) => inTwo(text, differencesOf(early)[index])[1])).toEqual([
      `${'z'.repeat(13)}1`,
      `${'z'.repeat(13)}2`,
    ]);
  });

  test('only web URLs are links', () => {
    expect(linkOf('https://example.org/')).toBe('https://example.org/');
    for (const text of ['javascript:alert(1)', ' https://a', 'data:text/html,x', 'https://', '//a', null]) {
      expect(linkOf(text)).toBe(null);
    }
  });
});

test.each([
  [
    1,
    '2026-11-02T11:00:00+01:00',
    'Visitors do not include 1 hit (Mon, 2 Nov 2026), when the summary was not among the hooks of every app.',
  ],
  [
    1_234,
    '2026-11-05T11:00:00+01:00',
    'Visitors do not include 1,234 hits (2 Nov – 5 Nov 2026), when the summary was not among the hooks of every app.',
  ],
])('describes a gap of %d hits', (hits, to, text) => {
  expect(gapText('Visitors', { summary: 'visitors', from: '2026-11-02T10:00:00+01:00', to, hits })).toBe(
    text,
  );
});

describe('health', () => {
  const storage = {
    storage: 'sqlite:usage.db',
    ok: true,
    committed: 1,
    adopted: 0,
    rejected: 0,
    lost: 0,
    pruned: 0,
    pruneError: null,
    budgets: { keys: [], texts: 0 },
    hooks: { pending: 0, dropped: 0, failed: 0 },
    lag: { records: 0, seconds: 0 },
    error: null,
  };

  test.each([
    ['none', null],
    ['good', statusOf({ storages: [storage] })],
    ['warn', statusOf({ storages: [{ ...storage, rejected: 1 }] })],
    ['warn', statusOf({ storages: [{ ...storage, lag: { records: 9, seconds: 10 } }] })],
    ['bad', statusOf({ storages: [{ ...storage, lag: { records: 9, seconds: 100 } }] })],
    ['bad', statusOf({ storages: [{ ...storage, lost: 1 }] })],
    ['bad', statusOf({ storages: [{ ...storage, ok: false, error: { code: null, message: 'no disk' } }] })],
    ['bad', statusOf({ journal: { directory: '/', state: 'memory', slowAppends: 0 } })],
  ] as const)('is %s, with the reason', (level, status) => {
    const health = healthOf(shown({ status: () => status }));
    expect(health.level).toBe(level);
    expect(health.lines.length).toBeGreaterThan(0);
  });

  test.each([
    [1, '1 write to the journal was slow.'],
    [1_234, '1,234 writes to the journal were slow.'],
  ])('%d slow writes', (slowAppends, line) => {
    const status = statusOf({
      journal: { directory: '/', state: 'file', slowAppends },
      storages: [storage],
    });
    const health = healthOf(shown({ status: () => status }));
    expect(health.lines).toContain(line);
    // Nothing is lost, and the disk may have recovered long ago.
    expect(health.level).toBe('good');
  });
});
