import { join } from 'node:path';
import type { TrackUsageOptions } from '../../src/index.ts';
import { Storage } from '../../src/query/storage.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

/** A failure in a tracked app. */
export interface Scenario {
  options?: TrackUsageOptions;
  storages(directory: string): Storage;
  /** Timeout of `close` if it cannot finish, in ms. */
  timeout?: number;
}

const database = (directory: string) =>
  new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server', 'visitors'] });

/** SQLite that fails in a given way: see `faulty-storage.ts`. */
const faulty =
  (manner: string) =>
  (directory: string): Storage => {
    const storage = database(directory);
    const { identity } = storage;
    const options = storage.threadOptions();
    return new Storage({
      label: 'faulty',
      identity,
      module: new URL('./faulty-storage.ts', import.meta.url).href,
      options: { ...(options as object), manner, deaths: join(directory, 'deaths') },
      hooks: ['server'],
    });
  };

/** All functions that an app may pass, each failing in the same way. */
function functions(fail: () => unknown): Scenario {
  return {
    storages: database,
    options: {
      cookie: { when: fail as () => boolean },
      username: fail as () => string,
      trustProxy: fail as () => boolean,
    },
  };
}

function fail(): never {
  throw new Error('I always fail');
}

let turn = 0;
const GARBAGE = [
  Symbol('s'),
  {},
  [],
  12n,
  Number.NaN,
  () => {},
  new Proxy({}, {}),
  '\u0000\ud800',
  1e9,
  null,
];

export const scenarios = {
  'onError throws': { storages: database, options: { onError: fail, username: fail } },
  'onError rejects': { storages: database, options: { onError: async () => fail(), username: fail } },
  'functions throw': functions(fail),
  'functions throw what has no text': functions(() => {
    throw Object.create(null);
  }),
  'functions return garbage': functions(() => GARBAGE[turn++ % GARBAGE.length]),
  'functions reject': functions(async () => fail()),
  'functions never answer': functions(() => new Promise(() => {})),
  'storage does not load': {
    timeout: 300,
    storages: (directory) => {
      const storage = database(directory);
      const { identity } = storage;
      const options = storage.threadOptions();
      return new Storage({ label: 'faulty', identity, module: 'file:///nowhere/at/all.js', options });
    },
  },
  'storage does not open': { storages: faulty('does not open'), timeout: 300 },
  'storage fails': { storages: faulty('fails'), timeout: 300 },
  'storage refuses': { storages: faulty('refuses') },
  'storage hangs': { storages: faulty('hangs'), timeout: 300 },
  'writer dies': { storages: faulty('dies') },
  fine: { storages: database, options: { cookie: true, trustProxy: true } },
  'signed cookies': {
    storages: (directory) => new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server'] }),
    options: { cookie: { secret: 'a secret' } },
    // There may be more to store than a test can wait for.
    timeout: 300,
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
