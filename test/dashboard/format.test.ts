import { describe, expect, test } from 'vitest';
import { ceilingOf, ticksOf } from '../../dashboard/src/charts/data.ts';
import { difference } from '../../dashboard/src/format/change.ts';
import { gapText } from '../../dashboard/src/format/coverage.ts';
import { showBucket, showInstant, showRange, showTick } from '../../dashboard/src/format/dates.ts';
import { healthOf } from '../../dashboard/src/format/health.ts';
import { inTwo, keyText, linkOf, sharedOrigin, visible } from '../../dashboard/src/format/keys.ts';
import { bytes, compact, duration, percent } from '../../dashboard/src/format/numbers.ts';
import { shown } from '../../src/server/api.ts';
import { statusOf } from '../server/support.ts';

describe('numbers', () => {
  test.each([
    [compact, 0, '0'],
    [compact, 12_345, '12.3K'],
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
    [120, 100, 'up', { text: '20.0%', meaning: 'good', direction: 'up' }],
    [80, 100, 'up', { text: '20.0%', meaning: 'bad', direction: 'down' }],
    [120, 100, 'down', { text: '20.0%', meaning: 'bad', direction: 'up' }],
    [120, 100, null, { text: '20.0%', meaning: 'neutral', direction: 'up' }],
    [1, 0, 'down', { text: 'new', meaning: 'bad', direction: 'up' }],
    [100_000, 1, 'up', { text: '×100,000', meaning: 'good', direction: 'up' }],
    [100_001, 100_000, 'up', { text: '<0.1%', meaning: 'good', direction: 'up' }],
    [5, 5, 'up', { text: '0%', meaning: 'neutral', direction: 'same' }],
    [0, 0, 'up', null],
    [null, 1, 'up', null],
    [1, undefined, 'up', null],
  ] as const)('from %o to %o', (value, before, better, expected) => {
    expect(difference(value, before, better)).toEqual(expected);
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

  test('only web URLs are links', () => {
    expect(linkOf('https://example.org/')).toBe('https://example.org/');
    for (const text of ['javascript:alert(1)', ' https://a', 'data:text/html,x', 'https://', '//a', null]) {
      expect(linkOf(text)).toBe(null);
    }
  });
});

describe('charts', () => {
  test('show as many labels as fit, always including the last', () => {
    expect(ticksOf(30, 10)).toEqual([2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
    expect(ticksOf(1, 10)).toEqual([0]);
    expect(ticksOf(0, 10)).toEqual([]);
  });

  test('have an axis without data', () => {
    expect(ceilingOf([null, 0], 'hits')).toBe(4);
    expect(ceilingOf([100, null], 'hits')).toBeCloseTo(108);
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
    const status = statusOf({ journal: { directory: '/', state: 'file', slowAppends } });
    expect(healthOf(shown({ status: () => status })).lines).toContain(line);
  });
});
