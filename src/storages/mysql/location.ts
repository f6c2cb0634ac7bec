import { showKind, TrackUsageError } from '../../errors.ts';
import { checkOption } from '../../options/checks.ts';
import { ESCAPED, isAmbiguous } from '../../storage/server-url.ts';
import type { MysqlLocation, MysqlPool } from './session.ts';

/** Connection options of `createPool()` of `mysql2`, of which the most common are listed here. */
export interface MysqlConfig {
  /**
   * Connection URL. Replaces `host`, `port`, `user`, `password` and `database`, or is combined with some of
   * them.
   */
  uri?: string;
  /** Host name of the server. Defaults to `localhost`. */
  host?: string;
  /** TCP port of the server. Defaults to 3306. */
  port?: number;
  /** Path of a Unix socket. Replaces `host` and `port`. */
  socketPath?: string;
  /** Database name. Created if it does not exist and the user has the right to. Defaults to `usage`. */
  database?: string;
  /** User name. Defaults to none. */
  user?: string;
  /** Password of the user. Defaults to none. */
  password?: string;
  /** TLS: options as for `tls.createSecureContext()`, or the profile `Amazon RDS`. Defaults to no TLS. */
  ssl?: unknown;
  [option: string]: unknown;
}

const DEFAULT_DATABASE = 'usage';
/** The only text that `mysql2` accepts as TLS options. */
const SSL_PROFILE = 'Amazon RDS';
export const DEFAULT_PREFIX = 'usage_';
/**
 * Pattern of a prefix. The longest name is that of a view (prefix, summary, period), and MySQL allows 64
 * characters.
 */
const PREFIX = /^[a-z][a-z0-9_]{0,15}$/;

/** Converts a URL to `mysql2` options and its `?prefix=`. Options are returned merged with their `uri`. */
export function configOf(server: string | MysqlConfig): { config: MysqlConfig; prefix: string | undefined } {
  if (typeof server !== 'string') {
    const { uri, ...rest } = server;
    checkSsl(rest);
    if (typeof uri !== 'string') return { config: rest, prefix: undefined };
    const { config, prefix } = configOf(uri);
    return { config: { ...config, ...rest }, prefix };
  }
  const isUrl = /^(?:mysql|mariadb):\/\//.test(server) && !isAmbiguous(server);
  const parsed = isUrl ? URL.parse(server.replace(/^\w+/, 'mysql')) : undefined;
  // The message omits the URL, which may contain a password.
  if (!parsed) throw wrongServer('an invalid URL');
  const found = configOfUrl(parsed);
  checkSsl(found.config);
  return found;
}

/** Rejects invalid TLS options. The driver would print the unknown value, which may be a key. */
function checkSsl({ ssl }: MysqlConfig): void {
  if (typeof ssl === 'string' && ssl !== SSL_PROFILE) throw wrongServer('a URL whose "ssl" is not JSON');
}

function configOfUrl({ hostname, port, pathname, username, password, searchParams }: URL) {
  const { prefix, ...options } = Object.fromEntries(searchParams);
  const given: MysqlConfig = {
    host: decodeURIComponent(hostname.replace(/^\[(.*)\]$/, '$1')),
    port: port === '' ? 3306 : Number(port),
    database: decodeURIComponent(pathname.slice(1)),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
  const config: MysqlConfig = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
  for (const [name, value] of Object.entries(options)) config[name] ??= optionOf(value);
  // The driver expects an object.
  if (config.ssl === true) config.ssl = {};
  return { config, prefix };
}

/** Parses an option the way `mysql2` does. */
function optionOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Returns the location. Its label is also its identity, however the connection was configured. */
export function locationOfConfig(config: MysqlConfig, prefix: string = DEFAULT_PREFIX): MysqlLocation {
  const { database = DEFAULT_DATABASE } = config;
  const valid = typeof prefix === 'string' && PREFIX.test(prefix);
  checkOption(
    'MysqlStorage.prefix',
    prefix,
    valid,
    'up to 16 lowercase letters, digits and underscores, starting with a letter',
  );
  if (typeof database !== 'string' || database === '' || database.length > 64) {
    throw wrongServer('a URL with an invalid database name');
  }
  const suffix = prefix === DEFAULT_PREFIX ? '' : `?prefix=${prefix}`;
  return { label: `${addressOf(config)}/${database}${suffix}`, database, prefix };
}

/** Returns the server's address, for messages. */
export function addressOf({ host, port, socketPath }: MysqlConfig): string {
  const named = host?.includes(':') ? `[${host}]` : host;
  return `mysql://${socketPath ?? `${named || 'localhost'}:${port || 3306}`}`;
}

/** Returns the location that a pool connects to. Processes with the same location adopt each other's journals. */
export function locationOfPool(pool: MysqlPool, prefix: string | undefined): MysqlLocation {
  const core = (pool as { pool?: object }).pool ?? pool;
  const { config } = core as { config?: { connectionConfig?: MysqlConfig } };
  const { database, ...rest } = config?.connectionConfig ?? {};
  if (!database) throw wrongServer('a pool without a database');
  return locationOfConfig({ ...rest, database }, prefix);
}

export function wrongServer(value: unknown): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: 'server',
    value: typeof value === 'string' ? value : showKind(value),
    expected: `a URL such as "mysql://user:password@localhost:3306/app" ${ESCAPED}, the options of a connection, or a pool of mysql2 with a database`,
  });
}
