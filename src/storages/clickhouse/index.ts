/**
 * Storage in ClickHouse.
 * @module track-usage/clickhouse
 */
import { showKind, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions, isText } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { Storage } from '../../query/storage.ts';
import { maxRecordsOf, type Openers, openersInApp } from '../../storage/opening.ts';
import { ESCAPED, isAmbiguous } from '../../storage/server-url.ts';
import { STORAGE_OPTIONS, type StorageOptions, storageOptionsOf } from '../../storage/writer.ts';
import type { ClickhouseClient } from './client.ts';
import { engine } from './engine.ts';
import type { ClickhouseLocation, ClickhouseOptions } from './options.ts';
import { Session } from './session.ts';

export type { ClickhouseClient, ClickhouseSettings } from './client.ts';

/** Options of a `ClickhouseStorage`. All are optional. */
export interface ClickhouseStorageOptions extends StorageOptions {
  /**
   * Database of the tables, created if it does not exist. Defaults to the path of the URL, or the client's
   * default.
   */
  database?: string;
  /**
   * Name of a cluster that the server knows. The tables are then replicated and created on all of its
   * servers. Distributed tables read from all shards, and write each process's records to one shard.
   */
  cluster?: string;
}

/** Default ports of ClickHouse's HTTP interface, by ClickHouse's own URL schemes. */
const SCHEMES: Readonly<Record<string, [protocol: string, port: string]>> = {
  'clickhouse:': ['http:', '8123'],
  'clickhouses:': ['https:', '8443'],
};

/**
 * Maximum number of records per batch. With 32,768 in a thread, each record would cost the server twice as much. The
 * app's thread is blocked while it encodes a batch, at 1 µs per record.
 */
const LIMITS = { inThread: 131_072, inApp: 8_192 };

/** Stores records and summaries in ClickHouse, through `@clickhouse/client`. */
export class ClickhouseStorage extends Storage {
  /**
   * @param server `clickhouse://user:password@host:8123/database` (`clickhouses://` for TLS, or `http://` and
   * `https://`), or a client from `createClient()`. With a client, writing and reading run in the app's
   * thread.
   */
  constructor(server: string | ClickhouseClient, options: ClickhouseStorageOptions = {}) {
    checkOptions('ClickhouseStorage', options, [...STORAGE_OPTIONS, 'database', 'cluster']);
    const { database, cluster } = options;
    checkOption('ClickhouseStorage.database', database, isText(database), 'the name of a database');
    checkOption('ClickhouseStorage.cluster', cluster, isText(cluster), 'the name of a cluster');
    const { label, openers } = describe(server, { database, cluster });
    super({
      label,
      identity: label,
      ...openers,
      maxRecords: maxRecordsOf(openers, LIMITS),
      ...storageOptionsOf(options),
    });
  }
}

function describe(
  server: string | ClickhouseClient,
  options: Omit<ClickhouseLocation, 'label'>,
): { label: string; openers: Openers<ClickhouseOptions> } {
  if (typeof server === 'string') {
    const parts = partsOf(server, options);
    const module = moduleUrl('../../storages/clickhouse/module', import.meta.url);
    return { label: parts.label, openers: { module, options: parts } };
  }
  if (!isClient(server)) throw wrongServer(showKind(server));
  const label = `${originOf(server)}/${options.database ?? ''}`;
  return { label, openers: openersInApp(engine, () => new Session(server, { ...options, label })) };
}

function partsOf(given: string, options: Omit<ClickhouseLocation, 'label'>): ClickhouseOptions {
  // Replaced before parsing: `URL` cannot change an unknown scheme, and does not know its default port.
  const parsed = /^(\w+:)(\/\/.+)$/s.exec(given);
  const [protocol = '', defaultPort] = SCHEMES[parsed?.[1] ?? ''] ?? [parsed?.[1]];
  const url = URL.parse(`${protocol}${parsed?.[2]}`);
  // The message omits the URL, which may contain a password.
  if (!url || !/^https?:$/.test(protocol) || isAmbiguous(given)) throw wrongServer('an invalid URL');
  if (defaultPort && !/^\/\/(?:[^/]*@)?[^/]*:\d+(?:\/|$)/s.test(parsed![2]!)) url.port = defaultPort;
  const database = options.database ?? (decodeURIComponent(url.pathname.slice(1)) || 'default');
  return {
    ...options,
    database,
    label: `clickhouse://${url.host}/${database}`,
    url: url.origin,
    username: decodeURIComponent(url.username) || 'default',
    password: decodeURIComponent(url.password),
  };
}

function isClient(value: ClickhouseClient | undefined | null): value is ClickhouseClient {
  return typeof value?.exec === 'function' && typeof value.query === 'function';
}

/**
 * Returns the origin of a client's server, as far as it is visible. Processes with the same place adopt each
 * other's journals.
 */
function originOf(client: ClickhouseClient): string {
  const { url } = (client as { connectionParams?: { url?: URL } }).connectionParams ?? {};
  return `clickhouse://${url?.host ?? 'client'}`;
}

function wrongServer(value: string): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: 'server',
    value,
    expected: `a URL such as "clickhouse://user:password@localhost:8123/usage" ${ESCAPED}, or a client of @clickhouse/client`,
  });
}
