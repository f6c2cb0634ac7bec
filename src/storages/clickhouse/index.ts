import { showKind, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions, isText } from '../../options.ts';
import { moduleUrl } from '../../threads.ts';
import { ESCAPED, isAmbiguous } from '../server-url.ts';
import { Storage } from '../storage.ts';
import type { Hook } from '../writer.ts';
import type { ClickhouseClient } from './client.ts';
import { openReader, openWriter } from './open.ts';
import { checkTtl, type Ttl } from './ttl.ts';

export type { ClickhouseClient } from './client.ts';
export type { Ttl } from './ttl.ts';

/** Which tables, and how they are made. */
export interface ClickhousePlace {
  /** For messages; holds no password. */
  label: string;
  /** `undefined` for the client's own. */
  database: string | undefined;
  cluster: string | undefined;
  ttl: Ttl | undefined;
}

/** What the threads need to open it. */
export interface ClickhouseOptions extends ClickhousePlace {
  /** Of HTTP, without the user. */
  url: string;
  username: string;
  password: string;
}

export interface ClickhouseStorageOptions {
  /** The summaries to keep, or their names, and functions to call with each record. Defaults to `sumBasic`. */
  hooks?: readonly Hook[];
  /** Where the tables are, created when it does not exist. Defaults to the path of the URL, or the client's own. */
  database?: string;
  /**
   * A cluster that the server knows: then the tables are replicated, stand on all of its servers, and distributed
   * tables before them read all and write each process's records to one shard.
   */
  cluster?: string;
  /** After how many days ClickHouse deletes what. Left as it is where it is left out. */
  ttl?: Ttl;
}

/** The default ports of ClickHouse's HTTP interface, by the schemes that are not HTTP's own. */
const SCHEMES: Readonly<Record<string, [protocol: string, port: string]>> = {
  'clickhouse:': ['http:', '8123'],
  'clickhouses:': ['https:', '8443'],
};

/** The most records of a batch in the thread: of 32,768 each would cost the server twice as much. */
const MAX_RECORDS = 131_072;
/** The same in the app's thread, which does nothing else while it encodes them: 1 µs each. */
const MAX_RECORDS_OF_APP = 8_192;

/** Keeps records and summaries in ClickHouse, through `@clickhouse/client`. */
export class ClickhouseStorage extends Storage {
  /**
   * @param server `clickhouse://user:password@host:8123/database` (`clickhouses://` for TLS, or `http://` and
   * `https://`), or a client that `createClient()` made: then writing and reading happen in the app's thread.
   */
  constructor(server: string | ClickhouseClient, options: ClickhouseStorageOptions = {}) {
    checkOptions('ClickhouseStorage', options, ['hooks', 'database', 'cluster', 'ttl']);
    const { hooks, database, cluster, ttl } = options;
    checkOption('ClickhouseStorage.database', database, isText(database), 'the name of a database');
    checkOption('ClickhouseStorage.cluster', cluster, isText(cluster), 'the name of a cluster');
    checkTtl(ttl);
    const common = { database, cluster, ttl };
    if (typeof server === 'string') {
      const parts = partsOf(server, common);
      super({
        label: parts.label,
        identity: parts.label,
        module: moduleUrl('../../storages/clickhouse/module', import.meta.url),
        options: parts,
        maxRecords: MAX_RECORDS,
        hooks,
      });
    } else {
      if (!isClient(server)) throw wrongServer(showKind(server));
      const label = `${originOf(server)}/${database ?? ''}`;
      const place = { ...common, label };
      super({
        label,
        identity: label,
        openWriter: (context) => openWriter(server, place, context),
        openReader: () => openReader(server, place),
        maxRecords: MAX_RECORDS_OF_APP,
        hooks,
      });
    }
  }
}

function partsOf(given: string, options: Omit<ClickhousePlace, 'label'>): ClickhouseOptions {
  // A URL of an unknown scheme cannot be given another one, and its port is never a default.
  const parsed = /^(\w+:)(\/\/.+)$/s.exec(given);
  const [protocol = '', defaultPort] = SCHEMES[parsed?.[1] ?? ''] ?? [parsed?.[1]];
  const url = URL.parse(`${protocol}${parsed?.[2]}`);
  // Never the URL itself: it holds a password.
  if (!url || !/^https?:$/.test(protocol) || isAmbiguous(given)) throw wrongServer('a text of another form');
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

/** Where a client's server is, as far as it can be seen: processes of the same place adopt each other's journals. */
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
