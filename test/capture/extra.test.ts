import fc from 'fast-check';
import { expect, test } from 'vitest';
import { extraOf, jsonOf } from '../../src/capture/extra.ts';
import { fitForEngines, TEXT_LIMITS } from '../../src/text/text.ts';

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

/** A text whose JSON, as the only value of an object with a short name, has that many characters. */
const sized = (length: number) => ({ a: 'x'.repeat(length - '{"a":""}'.length) });

test.each([
  ['plain texts', (length: number) => sized(length)],
  ['values that take the slower way', (length: number) => ({ n: 1, ...sized(length - '"n":1,'.length) })],
])('vars and route parameters share a limit: %s', (_, of) => {
  const failures: string[] = [];
  const onVars = (error: unknown) => failures.push(String(error));
  const room = TEXT_LIMITS.extra - '{"routeParams":,"vars":}'.length;
  expect(TEXT_LIMITS.extra).toBe(16_384);
  for (const params of [0, 100]) {
    const [routeParams, most] = [params === 0 ? undefined : of(params), room - params];
    const begin = routeParams ? `{"routeParams":${JSON.stringify(routeParams)}` : '{';
    expect(extraOf(routeParams, of(most), '', onVars)).toBe(
      `${begin}${routeParams ? ',' : ''}"vars":${JSON.stringify(of(most))}}`,
    );
    expect(failures.splice(0)).toEqual([]);
    expect(extraOf(routeParams, of(most + 1), '', onVars)).toBe(routeParams ? `${begin}}` : '');
    expect(failures.splice(0)).toEqual([
      `RangeError: ${most + 1} characters of JSON exceed the limit of ${most}`,
    ]);
  }
  // Parameters that are too long leave the room to the vars.
  expect(extraOf(of(room), undefined, '', fail)).toBe(`{"routeParams":${JSON.stringify(of(room))}}`);
  expect(extraOf(of(room + 1), of(room), '', fail)).toBe(`{"vars":${JSON.stringify(of(room))}}`);
});

test('keys are added to whatever else there is, whole', () => {
  const keys = `{"tags":["${'k'.repeat(TEXT_LIMITS.keys)}"]}`;
  expect(extraOf(undefined, undefined, keys, fail)).toBe(`{"keys":${keys}}`);
  expect(extraOf({ a: 'b' }, undefined, keys, fail)).toBe(`{"routeParams":{"a":"b"},"keys":${keys}}`);
  expect(extraOf(undefined, { c: 1 }, keys, fail)).toBe(`{"vars":{"c":1},"keys":${keys}}`);
  expect(extraOf({ a: 'b' }, { c: 1 }, keys, fail)).toBe(
    `{"routeParams":{"a":"b"},"vars":{"c":1},"keys":${keys}}`,
  );
  expect(extraOf({}, {}, '', fail)).toBe('');
});
