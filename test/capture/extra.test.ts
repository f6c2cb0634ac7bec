import fc from 'fast-check';
import { expect, test } from 'vitest';
import { extraOf, jsonOf } from '../../src/capture/extra.ts';
import { fitForEngines, TEXT_LIMITS } from '../../src/text/text.ts';

const fail = (error: unknown) => {
  throw error;
};

test('replaces characters in vars and parameters that databases reject or change', () => {
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

test('serializes values like JSON.stringify', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('"', '\\', '\n', '\ud83d'),
  );
  const values = fc.oneof(texts, texts, fc.jsonValue(), fc.constant(undefined));
  fc.assert(
    fc.property(fc.dictionary(texts, values), (value) => {
      const expected = fitForEngines(JSON.stringify(value));
      expect(jsonOf(value, Infinity, fail)).toBe(expected === '{}' ? '' : expected);
    }),
  );
});

test.each([
  ['an array', ['a']],
  ['an object whose toJSON returns a string', { toJSON: () => 'text' }],
  ['an object longer than the limit', { a: 'b'.repeat(10) }],
])('omits %s and reports it', (_, value) => {
  const failures: unknown[] = [];
  expect(jsonOf(value, 10, (error) => failures.push(error))).toBe('');
  expect(failures).toHaveLength(1);
});

test('omits inherited properties', () => {
  expect(jsonOf(Object.create({ a: 'b' }, { c: { value: 'd', enumerable: true } }), 100, () => {})).toBe(
    '{"c":"d"}',
  );
});

/** Returns an object whose JSON has the given number of characters. */
const objectOfLength = (length: number) => ({ a: 'x'.repeat(length - '{"a":""}'.length) });

test.each([
  ['strings', (length: number) => objectOfLength(length)],
  [
    'values that need JSON.stringify',
    (length: number) => ({ n: 1, ...objectOfLength(length - '"n":1,'.length) }),
  ],
])('limits the total length of vars and route parameters: %s', (_, create) => {
  const failures: string[] = [];
  const onVars = (error: unknown) => failures.push(String(error));
  const available = TEXT_LIMITS.extra - '{"routeParams":,"vars":}'.length;
  expect(TEXT_LIMITS.extra).toBe(16_384);
  for (const params of [0, 100]) {
    const [routeParams, limit] = [params === 0 ? undefined : create(params), available - params];
    const start = routeParams ? `{"routeParams":${JSON.stringify(routeParams)}` : '{';
    expect(extraOf(routeParams, create(limit), '', onVars)).toBe(
      `${start}${routeParams ? ',' : ''}"vars":${JSON.stringify(create(limit))}}`,
    );
    expect(failures.splice(0)).toEqual([]);
    expect(extraOf(routeParams, create(limit + 1), '', onVars)).toBe(routeParams ? `${start}}` : '');
    expect(failures.splice(0)).toEqual([
      `RangeError: ${limit + 1} characters of JSON exceed the limit of ${limit}`,
    ]);
  }
  // Parameters that exceed the limit do not reduce the space for vars.
  expect(extraOf(create(available), undefined, '', fail)).toBe(
    `{"routeParams":${JSON.stringify(create(available))}}`,
  );
  expect(extraOf(create(available + 1), create(available), '', fail)).toBe(
    `{"vars":${JSON.stringify(create(available))}}`,
  );
});

test('always adds keys completely', () => {
  const keys = `{"tags":["${'k'.repeat(TEXT_LIMITS.keys)}"]}`;
  expect(extraOf(undefined, undefined, keys, fail)).toBe(`{"keys":${keys}}`);
  expect(extraOf({ a: 'b' }, undefined, keys, fail)).toBe(`{"routeParams":{"a":"b"},"keys":${keys}}`);
  expect(extraOf(undefined, { c: 1 }, keys, fail)).toBe(`{"vars":{"c":1},"keys":${keys}}`);
  expect(extraOf({ a: 'b' }, { c: 1 }, keys, fail)).toBe(
    `{"routeParams":{"a":"b"},"vars":{"c":1},"keys":${keys}}`,
  );
  expect(extraOf({}, {}, '', fail)).toBe('');
});
