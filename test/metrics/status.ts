import type { UsageStatus } from '../../src/writer/app/status.ts';

export const storage: UsageStatus['storages'][number] = {
  storage: 'sqlite:usage.db',
  ok: true,
  committed: 5,
  adopted: 6,
  rejected: 7,
  lost: 8,
  pruned: 0,
  pruneError: null,
  budgets: { keys: [], texts: 0 },
  hooks: { pending: 9, dropped: 10, failed: 11 },
  lag: { records: 12, seconds: 1.5 },
  error: null,
};
export const status: UsageStatus = {
  captured: 1,
  journaled: 2,
  journal: { directory: '/srv', state: 'file', slowAppends: 3 },
  dropped: { journal: 13, capture: 14 },
  storages: [storage],
  freeGeoIp: null,
  writerRestarts: 4,
  lastError: null,
};
