import { describe, expect, test } from 'vitest';
import { totalLine } from '../../src/cli/commands/status.ts';
import { type Column, table } from '../../src/cli/formats/table.ts';
import { wrap } from '../../src/cli/formats/wrap.ts';
import { csv } from '../../src/formats/csv.ts';
import { bytes, compact, duration, integer, percent, quantity } from '../../src/formats/numbers.ts';
import { escapeJson, escapeText } from '../../src/text/escape.ts';
import { lines } from './support.ts';

describe('table', () => {
  interface Row {
    name: string | null;
    key: string;
  }
  const columns: Column<Row>[] = [
    { heading: 'name', text: ({ name }) => name, max: 6 },
    { heading: 'key', text: ({ key }) => key },
  ];
  const show = (rows: Row[], width?: number) =>
    [...table(columns, rows, { isTTY: false, columns: width, env: {} })].join('');

  test('measures characters by their width in a terminal', () => {
    const rows = [
      { name: '日本', key: '日本語日本語日本語' },
      { name: 'e\u0301te\u0301', key: '🙂🙂🙂🙂🙂🙂🙂' },
      { name: 'wide 日本', key: 'abcdefghijklmnop' },
      { name: null, key: 'abcdefghijkl' },
    ];
    expect(show(rows, 20)).toBe(
      lines`
      name    key
      日本    日本語日本…
      été     🙂🙂🙂🙂🙂…
      wide …  abcdefghijk…
      (none)  abcdefghijkl
    `.replace('été', 'e\u0301te\u0301'),
    );
  });

  test('shows the start of a key in a narrow terminal', () => {
    expect(show([{ name: 'a', key: 'abcdefghijklmnop' }], 5)).toContain('abcdefghijk…');
  });

  test('optional columns are omitted, the rightmost first, until the last column has room', () => {
    const wide: Column<Row>[] = [
      { heading: 'first', text: () => 'a'.repeat(10) },
      { heading: 'second', text: () => 'b'.repeat(10), optional: true },
      { heading: 'third', text: () => 'c'.repeat(10), optional: true },
      { heading: 'key', text: () => 'k'.repeat(30) },
    ];
    const headings = (width?: number) =>
      [...table(wide, [{ name: '', key: '' }], { isTTY: false, columns: width, env: {} })][0]!.trim();
    expect(headings(56)).toBe('first       second      third       key');
    expect(headings(55)).toBe('first       second      key');
    expect(headings(43)).toBe('first       key');
    expect(headings(10)).toBe('first       key');
    expect(headings()).toBe('first       second      third       key');
  });

  test('aligns headings of several lines at their last line', () => {
    const two: Column<Row>[] = [
      { heading: 'long\nname', right: true, text: () => '1' },
      { heading: 'key', text: () => 'k' },
    ];
    expect([...table(two, [{ name: '', key: '' }], { isTTY: false, columns: 80, env: {} })].join('')).toBe(
      lines`
        long
        name  key
           1  k
      `,
    );
  });

  test('prints nothing without rows', () => {
    expect(show([])).toBe('');
  });
});

test.each([
  ['plain text, größer, 日本, 🙂', 'plain text, größer, 日本, 🙂'],
  ['\x00\x1b[31m\x7f\x9b\t\r\n', String.raw`\x00\x1b[31m\x7f\x9b\t\r\n`],
  ['\u202e\u2066\u200b\u200d\ufeff\u2028\u00a0', String.raw`\u202e\u2066\u200b\u200d\ufeff\u2028\xa0`],
  ['\u{e0041}\ud800', String.raw`\u{e0041}\ud800`],
  [String.raw`\x1b`, String.raw`\\x1b`],
  [`a${'\u0301'.repeat(6)}`, `a${'\u0301'.repeat(4)}${String.raw`\u0301\u0301`}`],
  ['\u0301a', String.raw`\u0301a`],
])('escapes %j', (text, expected) => {
  expect(escapeText(text)).toBe(expected);
});

test('escapes JSON without changing its meaning', () => {
  const text = '\x7f\x9b\u202e\u{e0041}"\\🙂';
  const escaped = escapeJson(JSON.stringify(text));
  expect(escaped).toBe(String.raw`"\u007f\u009b\u202e\udb40\udc41\"\\🙂"`);
  expect(JSON.parse(escaped)).toBe(text);
});

test.each([
  [null, ''],
  ['', '""'],
  [-1, '-1'],
  [true, 'true'],
  ['a,b', '"a,b"'],
  ['say "hi"', '"say ""hi"""'],
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', String.raw`'\t=1`],
  ['\r=1', String.raw`'\r=1`],
  [' =1', "' =1"],
  ['＝1', "'＝1"],
  ['a=1', 'a=1'],
  [{ json: '{"a":"\\\\"}' }, '"{""a"":""\\\\""}"'],
] as const)('formats a CSV cell: %j', (value, expected) => {
  expect([...csv(['x'], [[value]])].join('')).toBe(`x\r\n${expected}\r\n`);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [1_234_567, '1.2 MB'],
  [5e18, '5.0 EB'],
  [5e22, '50,000.0 EB'],
])('formats %d bytes', (value, expected) => {
  expect(bytes(value)).toBe(expected);
});

test.each([
  [0, '0 µs'],
  [999.4, '999 µs'],
  [999.5, '1.0 ms'],
  [1_500, '1.5 ms'],
  [999_949, '999.9 ms'],
  [999_950, '1.0 s'],
  [59_949_999, '59.9 s'],
  [90_000_000, '1.5 min'],
  [7_200_000_000, '2.0 h'],
  [7.2e12, '2,000.0 h'],
])('formats %d µs', (value, expected) => {
  expect(duration(value)).toBe(expected);
});

test.each([
  [0, '0%'],
  [0.0001, '<0.1%'],
  [0.001, '0.1%'],
  [0.123, '12.3%'],
  [0.9995, '>99.9%'],
  [1, '100%'],
  [2.5, '250%'],
])('formats a share of %d', (value, expected) => {
  expect(percent(value)).toBe(expected);
});

test('formats numbers', () => {
  expect(integer(1_234_567)).toBe('1,234,567');
  expect(compact(12_345)).toBe('12.3K');
});

test('a right-aligned last column is as wide as its text, however wide the terminal is', () => {
  const columns: Column<number>[] = [
    { heading: 'Row', text: () => 'a' },
    { heading: 'Size', text: String, right: true },
  ];
  const wide = { isTTY: false, columns: 80, env: {} };
  expect([...table(columns, [1, 22], wide)]).toEqual(['Row  Size\n', 'a       1\n', 'a      22\n']);
});

test('quantities agree in number', () => {
  expect([0, 1, 2, 1234].map((value) => quantity(value, 'row'))).toEqual([
    '0 rows',
    '1 row',
    '2 rows',
    '1,234 rows',
  ]);
  // As they are shown: a rounded number.
  expect(quantity(0.8, 'request')).toBe('1 request');
});

test('lines are broken between words, and paths stay whole', () => {
  const line = 'Names: one, two, three, /a/path/that/is/longer/than/a/line, four\n';
  expect(wrap(line, { columns: undefined })).toBe(line);
  expect(wrap(line, { columns: line.length - 1 })).toBe(line);
  expect(wrap(line, { columns: 20 })).toBe(
    'Names: one, two,\n  three,\n  /a/path/that/is/longer/than/a/line,\n  four\n',
  );
  expect(wrap('  where: a text of a person\n', { columns: 20 })).toBe('  where: a text of a\n    person\n');
});

test('the total size of an engine that does not know its free space', () => {
  expect(totalLine({ total: 2_000, free: 500 })).toBe('Total: 2.0 kB, 500 B of it free\n');
  expect(totalLine({ total: 2_000, free: null })).toBe('Total: 2.0 kB\n');
  expect(totalLine({ total: null, free: null })).toBe('Total: –\n');
});
