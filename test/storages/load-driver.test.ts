import { expect, test } from 'vitest';
import { loadDriver } from '../../src/storage/load-driver.ts';

const missing = 'no-such-package';

test.each([
  ['is not installed', () => import(/* @vite-ignore */ missing), 'DRIVER_MISSING'],
  [
    'cannot be read',
    () => Promise.reject(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })),
    'DRIVER_FAILED',
  ],
  ['throws when it is loaded', () => Promise.reject(new TypeError('broken')), 'DRIVER_FAILED'],
])('reports a driver that %s', async (_, load, code) => {
  const error = await loadDriver('MyStorage', missing, load).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code, message: expect.stringContaining(missing) });
});
