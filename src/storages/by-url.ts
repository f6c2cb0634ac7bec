import { show, TrackUsageError } from '../errors.ts';
import type { Storage } from './storage.ts';
import type { Hook } from './writer.ts';

/** `sqlite:PATH`, or a path that can only be that of an SQLite file. */
const SQLITE = /^(?:sqlite:(.+)|(.+\.(?:db|sqlite3?)))$/is;

/** What a URL names: `scheme` says which kind of storage, `path` is what stands behind `sqlite:`. */
export interface StorageUrl {
  scheme: string;
  path: string;
  open(hooks?: readonly Hook[]): Promise<Storage>;
}

type Opener = (url: string, options: { hooks?: readonly Hook[] }) => Promise<Storage>;

const clickhouse: Opener = async (url, options) =>
  new (await import('./clickhouse/index.ts')).ClickhouseStorage(url, options);
const mongo: Opener = async (url, options) =>
  new (await import('./mongo/index.ts')).MongoStorage(url, options);
const redis: Opener = async (url, options) =>
  new (await import('./redis/index.ts')).RedisStorage(url, options);
const postgres: Opener = async (url, options) =>
  new (await import('./postgres/index.ts')).PostgresStorage(url, options);
const mysql: Opener = async (url, options) =>
  new (await import('./mysql/index.ts')).MysqlStorage(url, options);

/** By the scheme of the URL. Each loads its driver only when it is wanted. */
const OPENERS: Readonly<Record<string, Opener>> = {
  sqlite: async (path, options) => new (await import('./sqlite/index.ts')).SqliteStorage(path, options),
  clickhouse,
  clickhouses: clickhouse,
  mongodb: mongo,
  'mongodb+srv': mongo,
  redis,
  rediss: redis,
  valkey: redis,
  valkeys: redis,
  postgres,
  postgresql: postgres,
  mysql,
  mariadb: mysql,
};

/** The storage that a URL names, such as `sqlite:usage.db`. Throws for one that is none. */
export function storageAt(url: string): StorageUrl {
  const [, prefixed, bare] = SQLITE.exec(url) ?? [];
  const sqlite = prefixed ?? bare;
  const scheme = sqlite === undefined ? (/^([a-z+]+):\/\//.exec(url)?.[1] ?? '') : 'sqlite';
  const open = OPENERS[scheme];
  // Never the whole URL: it may hold a password.
  if (!open) throw unknownStorage(url, formsOf(OPENERS));
  const path = sqlite ?? url;
  return { scheme, path, open: (hooks) => open(path, hooks ? { hooks } : {}) };
}

/** Of each scheme, what it looks like, such as `sqlite:PATH` and `mysql://…`. */
export function formsOf(openers: Readonly<Record<string, unknown>>, prefix = ''): string[] {
  return Object.keys(openers).map((scheme) => `${prefix}${scheme}:${scheme === 'sqlite' ? 'PATH' : '//…'}`);
}

export function unknownStorage(url: string, forms: readonly string[]): TrackUsageError {
  return new TrackUsageError('STORAGE_UNKNOWN', {
    value: show(withoutPassword(url)),
    known: forms.join(', '),
  });
}

/** The URL as it may be shown. */
function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^/@:]*):.*@/s, '$1:***@');
}
