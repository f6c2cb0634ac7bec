import { expect, test } from 'vitest';
import { checkReadable, checkVersion } from '../../src/storage/checks.ts';

const codeOf = (check: () => void) => {
  try {
    check();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return null;
};

test('reads the current schema version, and refuses others with the matching error code', () => {
  const read = (found: number | undefined) => codeOf(() => checkReadable(found, 3, 'sqlite:usage.db'));
  expect([undefined, 0, 1, 2, 3, 4].map(read)).toEqual([
    'STORAGE_NOT_FOUND',
    'STORAGE_OLDER',
    'STORAGE_OLDER',
    'STORAGE_OLDER',
    null,
    'STORAGE_NEWER',
  ]);
});

test('writes to the current and older schema versions, and refuses newer ones', () => {
  const written = (found: number) => codeOf(() => checkVersion(found, 3, 'sqlite:usage.db'));
  expect([0, 2, 3, 4].map(written)).toEqual([null, null, null, 'STORAGE_NEWER']);
});
