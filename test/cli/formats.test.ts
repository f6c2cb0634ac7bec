import { describe, expect, test } from 'vitest';
import { type Column, table } from '../../src/cli/formats/table.ts';
import { csv } from '../../src/formats/csv.ts';
import { bytes, milliseconds, whole } from '../../src/formats/numbers.ts';
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

  test('characters as wide as a terminal shows them', () => {
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

  test('a terminal that is too narrow still shows the beginning of a key', () => {
    expect(show([{ name: 'a', key: 'abcdefghijklmnop' }], 5)).toContain('abcdefghijk…');
  });

  test('nothing for no rows', () => {
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

test('escapes JSON without another meaning', () => {
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
] as const)('a cell of CSV: %j', (value, expected) => {
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
])('%d bytes', (value, expected) => {
  expect(bytes(value)).toBe(expected);
});

test('numbers', () => {
  expect(whole(1_234_567)).toBe('1,234,567');
  expect(milliseconds(1_234_567)).toBe('1,234.6');
  expect(milliseconds(49)).toBe('0.0');
});
