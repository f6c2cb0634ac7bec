import { describe, expect, test } from 'vitest';
import { changeOf } from '../../src/formats/change.ts';
import { bucketText, changeText, keyText, percentOf, rangeText } from '../../src/report/labels.ts';

test('shares round neither to 0 % nor to 100 %', () => {
  const rows: [part: number, of: number, text: string][] = [
    [0, 0, '0%'],
    [0, 5, '0%'],
    [1, 3, '33.3%'],
    [1, 1_000, '0.1%'],
    [1, 1_001, '<0.1%'],
    [9_999, 10_000, '>99.9%'],
    [5, 5, '100%'],
    [22, 10, '220%'],
  ];
  for (const [part, of, text] of rows) expect(percentOf(part, of)).toBe(text);
});

test('changes', () => {
  const rows: [now: number, before: number, text: string][] = [
    [5, 5, '0%'],
    [0, 0, '0%'],
    [5, 0, 'new'],
    [0, 5, '−100%'],
    [12, 10, '+20.0%'],
    [8, 10, '−20.0%'],
    [35, 10, '+250%'],
    [140, 10, '×14'],
    [100_001, 100_000, '+<0.1%'],
  ];
  for (const [now, before, text] of rows) expect(changeText(changeOf(now, before))).toBe(text);
});

describe('ranges', () => {
  test.each([
    ['2026-10-01T00:00:00+02:00', '2026-10-31T23:00:00+01:00', 'October 2026'],
    ['2024-02-01T00:00:00+00:00', '2024-02-29T23:00:00+00:00', 'February 2024'],
    ['2026-02-01T00:00:00+00:00', '2026-02-27T23:00:00+00:00', '1 to 27 February 2026'],
    ['2026-08-01T00:00:00+00:00', '2026-10-31T23:00:00+00:00', 'August to October 2026'],
    ['2025-12-01T00:00:00+00:00', '2026-01-31T23:00:00+00:00', 'December 2025 to January 2026'],
    ['2025-12-30T00:00:00+00:00', '2026-01-02T23:00:00+00:00', '30 December 2025 to 2 January 2026'],
    ['2026-09-28T00:00:00+00:00', '2026-10-02T23:00:00+00:00', '28 September to 2 October 2026'],
    ['2026-10-25T00:00:00+02:00', '2026-10-25T23:00:00+01:00', '25 October 2026'],
    ['2026-10-25T00:00:00+01:00', '2026-10-25T11:00:00+01:00', '25 October 2026, 00:00 to 11:59'],
    ['2026-10-25T08:00:00+01:00', '2026-10-25T11:00:00+01:00', '25 October 2026, 08:00 to 11:59'],
    ['2026-10-27T00:00:00+00:00', '2026-11-25T20:00:00+00:00', '27 October 2026 to 25 November 2026, 20:59'],
  ])('%s to %s', (from, to, text) => expect(rangeText({ from, to })).toBe(text));
});

test('buckets distinguish the repeated hour at the end of daylight saving time', () => {
  expect(bucketText('month', '2026-10-01T00:00:00+02:00')).toEqual({ short: 'Oct', long: 'October 2026' });
  expect(bucketText('day', '2026-10-05T00:00:00+02:00')).toEqual({ short: '5 Oct', long: '5 October 2026' });
  expect(bucketText('hour', '2026-10-25T02:00:00+01:00')).toEqual({
    short: '02:00',
    long: '25 October 2026, 02:00 +01:00',
  });
});

test('keys are labeled if their meaning is known, for any key', () => {
  const rows: [summary: string, key: string | null, text: string | undefined, name: string | undefined][] = [
    ['geo', 'DE', 'DE', 'Germany'],
    ['geo', 'ZQ', 'ZQ', undefined],
    ['geo', '<b>', '<b>', undefined],
    ['geo', null, undefined, 'Unknown'],
    ['languages', 'de-AT', 'de-AT', 'Austrian German'],
    ['languages', 'x-x-x-', 'x-x-x-', undefined],
    ['languages', 'en-12', 'en-12', undefined],
    ['status', '404', '404', 'Not Found'],
    ['status', '799', '799', undefined],
    ['status', '__proto__', '__proto__', undefined],
    ['bots', null, undefined, 'People'],
    ['plans', null, undefined, '(none)'],
    ['urls', '\x1b[31m\\', '\\x1b[31m\\\\', undefined],
  ];
  for (const [summary, key, text, name] of rows) expect(keyText(summary, key)).toEqual({ text, name });
  const { text } = keyText('urls', `${'x'.repeat(159)}😀${'y'.repeat(5_000)}`);
  expect(text).toBe(`${'x'.repeat(159)}…`);
});
