import type { Subject } from '../../src/testing/index.ts';

/** Capabilities that storages are about to get. Removed from a test when its storage passes all cases. */
export const PENDING: NonNullable<Subject['cannot']> = {
  maintenance: 'in progress',
  maxKeys: 'in progress',
};
