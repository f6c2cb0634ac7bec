import { showKind, TrackUsageError } from '../../errors.ts';
import { ESCAPED, isAmbiguous } from '../../storage/server-url.ts';
import type { RedisClient } from './client.ts';

/** Address of a single server. */
export interface RedisAddress {
  host: string;
  port: number;
  tls: boolean;
  username: string;
  password: string;
  database: number;
}

/** Supported schemes, and whether they use TLS. */
const SCHEMES: Readonly<Record<string, boolean>> = {
  'redis:': false,
  'rediss:': true,
  'valkey:': false,
  'valkeys:': true,
};
const DEFAULT_PORT = 6379;

/** Parses a URL such as `redis://user:password@host:6379/0`. */
export function addressOf(given: unknown): RedisAddress {
  const url = typeof given === 'string' && !isAmbiguous(given) ? URL.parse(given) : null;
  const tls = SCHEMES[url?.protocol ?? ''];
  // The message omits the URL, which may contain a password.
  if (!url || tls === undefined || !url.hostname || !/^\/?\d*$/.test(url.pathname)) {
    throw wrongServer(typeof given === 'string' ? 'an invalid URL' : showKind(given));
  }
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port || DEFAULT_PORT),
    tls,
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: Number(url.pathname.slice(1)),
  };
}

/** Returns the location without secrets. Processes with the same location adopt each other's journals. */
export function labelOfAddress({
  host,
  port,
  database,
}: Pick<RedisAddress, 'host' | 'port' | 'database'>): string {
  return `redis://${host.includes(':') ? `[${host}]` : host}:${port}/${database}`;
}

/** Returns the location of a client, as far as it is visible. */
export function locationOfClient(client: RedisClient): string {
  const { options, startupNodes } = client as {
    options?: {
      host?: string;
      port?: number;
      db?: number;
      database?: number;
      socket?: { host?: string; port?: number };
    };
    startupNodes?: readonly { host?: string; port?: number }[];
  };
  const { host, port } = options?.socket ?? startupNodes?.[0] ?? options ?? {};
  if (!host && !port) return 'redis://client';
  return labelOfAddress({
    host: host ?? 'localhost',
    port: port ?? DEFAULT_PORT,
    database: options?.db ?? options?.database ?? 0,
  });
}

export function wrongServer(value: string): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: 'server',
    value,
    expected: `a URL such as "redis://user:password@localhost:6379/0" ${ESCAPED}, or a client of redis or ioredis`,
  });
}
