import { showKind, TrackUsageError } from '../../errors.ts';
import { checkOption } from '../../options/checks.ts';
import { ESCAPED, isAmbiguous } from '../../storage/server-url.ts';
import type { PostgresLocation, PostgresPool } from './session.ts';

/** Connection options of `new Pool()` of `pg`, of which the most common are listed here. */
export interface PostgresConfig {
  /** Connection URL. Its parts replace the other options. */
  connectionString?: string;
  /** Host name of the server, or directory of its Unix socket. Defaults to `PGHOST`, or `localhost`. */
  host?: string;
  /** TCP port of the server. Defaults to `PGPORT`, or 5432. */
  port?: number;
  /** Name of the database. Defaults to `PGDATABASE`, or the name of the user. */
  database?: string;
  /** User name. Defaults to `PGUSER`, or the user of the process. */
  user?: string;
  /**
   * Password, or a function that returns one for each connection. With a function, writing and reading run in
   * the app's thread.
   */
  password?: string | (() => string | Promise<string>);
  /** TLS: `true`, or options of `tls.connect()`. Defaults to `PGSSLMODE`, or no TLS. */
  ssl?: unknown;
  [option: string]: unknown;
}

export const DEFAULT_SCHEMA = 'track_usage';
const SCHEMA = /^[a-zA-Z_][a-zA-Z0-9_]{0,62}$/;

/** Returns the location that a URL names. The URL is passed to `pg` unchanged. */
export function locationOfUrl(url: string, schema: string | undefined): PostgresLocation {
  const isUrl = /^postgres(?:ql)?:\/\//.test(url) && !isAmbiguous(url);
  const parsed = isUrl ? URL.parse(url.replace(/^\w+/, 'postgres')) : null;
  // The message omits the URL, which may contain a password.
  if (!parsed) throw wrongServer('an invalid URL');
  const { hostname, port, pathname, searchParams } = parsed;
  const host = searchParams.get('host') ?? decodeURIComponent(hostname);
  const database = decodeURIComponent(pathname.slice(1));
  return location(host, port, database, schema ?? searchParams.get('schema') ?? undefined);
}

export function locationOfConfig(config: PostgresConfig, schema: string | undefined): PostgresLocation {
  const { connectionString, host, port, database } = config;
  if (typeof connectionString === 'string') return locationOfUrl(connectionString, schema);
  return location(host ?? '', port ?? '', database ?? '', schema);
}

/**
 * Returns the location that a pool connects to, as far as it is visible. Processes with the same location adopt
 * each other's journals.
 */
export function locationOfPool(pool: PostgresPool, schema: string | undefined): PostgresLocation {
  return locationOfConfig((pool as { options?: PostgresConfig }).options ?? {}, schema);
}

/** Returns the location. Its label is also its identity, however the connection was configured. */
function location(
  host: string,
  port: string | number,
  database: string,
  schema: string = DEFAULT_SCHEMA,
): PostgresLocation {
  const valid = typeof schema === 'string' && SCHEMA.test(schema);
  checkOption('PostgresStorage.schema', schema, valid, 'a name of up to 63 letters, digits and underscores');
  const suffix = schema === DEFAULT_SCHEMA ? '' : `?schema=${schema}`;
  return {
    label: `postgres://${host || 'localhost'}:${port || 5432}/${database}${suffix}`,
    schema,
  };
}

export function wrongServer(value: unknown): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: 'server',
    value: typeof value === 'string' ? value : showKind(value),
    expected: `a URL such as "postgres://user:password@localhost:5432/app" ${ESCAPED}, the options of a connection, or a pool of pg`,
  });
}
