import { expect, test } from 'vitest';
import { extraOf } from '../../src/capture/extra.ts';

test('vars and parameters hold nothing that an engine refuses or changes', () => {
  const fail = (error: unknown) => {
    throw error;
  };
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
