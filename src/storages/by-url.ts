import { show, TrackUsageError } from '../errors.ts';
import type { Storage } from '../query/storage.ts';
import type { Hook } from '../storage/writer.ts';

/** Pattern of `sqlite:PATH`, or a path with an extension of SQLite files. */
const SQLITE = /^(?:sqlite:(.+)|(.+\.(?:db|sqlite3?)))$/is;

/** Parts of a URL: `scheme` identifies the kind of storage, `path` is the part after `sqlite:`. */
export interface StorageUrl {
  scheme: string;
  path: string;
  /** URL without its password, for messages. */
  label: string;
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

/** Openers by URL scheme. Each loads its driver only when it is needed. */
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

/** Returns the storage that a URL names, for example `sqlite:usage.db`. Throws for an unknown URL. */
export function storageAt(url: string): StorageUrl {
  const [, prefixed, bare] = SQLITE.exec(url) ?? [];
  const sqlite = prefixed ?? bare;
  const scheme = sqlite === undefined ? (/^([a-z+]+):\/\//.exec(url)?.[1] ?? '') : 'sqlite';
  const open = OPENERS[scheme];
  // The message omits most of the URL, which may contain a password.
  if (!open) throw unknownStorage(url, [...formsOf(OPENERS), 'a path that ends in .db, .sqlite or .sqlite3']);
  const path = sqlite ?? url;
  const label = sqlite === undefined ? withoutPassword(url) : `sqlite:${sqlite}`;
  return { scheme, path, label, open: (hooks) => open(path, hooks ? { hooks } : {}) };
}

/** Returns the form of each scheme, for example `sqlite:PATH` and `mysql://…`. */
export function formsOf(openers: Readonly<Record<string, unknown>>, prefix = ''): string[] {
  return Object.keys(openers).map((scheme) => `${prefix}${scheme}:${scheme === 'sqlite' ? 'PATH' : '//…'}`);
}

export function unknownStorage(url: string, forms: readonly string[]): TrackUsageError {
  return new TrackUsageError('STORAGE_UNKNOWN', {
    value: show(withoutPassword(url)),
    known: forms.join(', '),
  });
}

/** Returns the URL without its password, for messages. */
function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^/@:]*):.*@/s, '$1:***@');
}
