import { expect, onTestFinished, test } from 'vitest';
import { keyFailed, keysOf, MAX_KEY_LENGTH, MAX_KEYS_PER_RECORD } from '../../src/summaries/keys.ts';

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `key ${n}`);

test.each<[answer: unknown, keys: string[]]>([
  [null, []],
  [undefined, []],
  ['', []],
  [[], []],
  [['', ''], []],
  ['gold', ['gold']],
  [['gold'], ['gold']],
  [
    ['b', '', 'a', 'b'],
    ['b', 'a'],
  ],
  [numbered(MAX_KEYS_PER_RECORD), numbered(MAX_KEYS_PER_RECORD)],
  // Duplicates and empty keys do not count.
  [[...numbered(MAX_KEYS_PER_RECORD), 'key 3', ''], numbered(MAX_KEYS_PER_RECORD)],
  [new Array(100).fill('gold'), ['gold']],
  ['a\0b\0', ['a\ufffdb\ufffd']],
  ['lone \ud800', ['lone \ufffd']],
  ['x'.repeat(MAX_KEY_LENGTH), ['x'.repeat(MAX_KEY_LENGTH)]],
  [['lone \ud800', 'lone \ud801'], ['lone \ufffd']],
])('%j has the keys %j', (answer, keys) => {
  expect(keysOf(answer)).toEqual(keys);
});

test('long keys are truncated and stay distinct', () => {
  const keys = keysOf(['1', '2'].map((end) => 'x'.repeat(MAX_KEY_LENGTH) + end));
  expect(keys.map(({ length }) => length)).toEqual([MAX_KEY_LENGTH, MAX_KEY_LENGTH]);
});

test.each<[message: string, answer: unknown]>([
  ['it returned 7, expected a string, a list of strings, or null', 7],
  ['it returned false, expected a string, a list of strings, or null', false],
  ['it returned an object, expected a string, a list of strings, or null', { password: 'x' }],
  ['it returned an object, expected a string, a list of strings, or null', new Set(['a'])],
  ['it returned a promise, expected a string, a list of strings, or null', Promise.resolve('a')],
  ['it returned a list with 3, expected a string, a list of strings, or null', ['a', 3]],
  ['it returned a list with null, expected a string, a list of strings, or null', ['a', null, 3]],
  ['it returned a list with an object, expected a string, a list of strings, or null', ['a', {}]],
  ['it returned a list with an object, expected a string, a list of strings, or null', [['a']]],
  ['it returned a list with undefined, expected a string, a list of strings, or null', new Array(4e9)],
  [
    'it returned a list with 3, expected a string, a list of strings, or null',
    [...new Array(2_000).fill('a'), 3],
  ],
  ['it returned more than 16 keys', numbered(MAX_KEYS_PER_RECORD + 1)],
  ['it returned more than 16 keys', numbered(1e5)],
])('%s', (message, answer) => {
  expect(() => keysOf(answer)).toThrow(expect.objectContaining({ message }));
});

test('promises that reject are refused, and end nothing', async () => {
  const rejections: unknown[] = [];
  const listener = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', listener);
  onTestFinished(() => {
    process.off('unhandledRejection', listener);
  });
  const late = () => Promise.reject(new Error('late'));
  expect(() => keysOf(late())).toThrow('a promise');
  expect(() => keysOf(['a', late(), 7, late()])).toThrow('a list with a promise');
  expect(() => keysOf([7, late()])).toThrow('a list with 7');
  expect(() => keysOf([...new Array(2_000).fill('a'), late(), late()])).toThrow('a list with a promise');
  expect(() => keysOf([...numbered(MAX_KEYS_PER_RECORD + 1), late()])).toThrow('more than 16 keys');
  // Unhandled rejections are reported before the next turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  expect(rejections).toEqual([]);
});

test('a failed key function is named, with the effect', () => {
  const cause = new Error('not today');
  const error = keyFailed('plans', cause);
  expect(error).toMatchObject({ code: 'HOOK_FAILED', cause });
  expect(error.message).toContain('the key function of the summary "plans" failed: not today');
  expect(error.hint).toContain('the request counts under null in this summary');
});
