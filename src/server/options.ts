import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { TrackUsageError } from '../errors.ts';
import { checkOption, checkOptions, isText, isWholeNumber } from '../options/checks.ts';

/** Options of `usage.handler()`. All are optional. */
export interface HandlerOptions {
  /** Path of the dashboard, as requested, wherever the handler is mounted. Defaults to `/usage`. */
  path?: string;
  /**
   * Authorizes requests: called for each one, and `true` allows it. An error or rejection denies it. The
   * argument is Node's request.
   */
  authorize?: (request: IncomingMessage) => boolean | Promise<boolean>;
  /**
   * Secret of at least 16 characters (ASCII, without spaces). Programs send it as `Authorization: Bearer …`,
   * and users sign in with it.
   */
  token?: string;
  /** Allows access without authentication. Defaults to false. */
  public?: boolean;
  /**
   * Host names that requests may use (the Host header without its port), for example `stats.example.com`.
   * Defaults to all names. If no option restricts access, or it is public on loopback, defaults to
   * `localhost` and loopback addresses.
   */
  hosts?: readonly string[];
  /** Maximum number of concurrent event streams. Defaults to 100. */
  maxStreams?: number;
  /** Maximum number of concurrent downloads. Defaults to 8. */
  maxDownloads?: number;
  /** Maximum number of concurrent queries to the storage. Twelve times as many may wait. Defaults to 8. */
  maxQueries?: number;
  /**
   * Time limit for a query, for `authorize`, for receiving the sign-in form, and for a client that stops
   * reading a download. Defaults to `30000` ms (30 seconds).
   */
  timeout?: number;
}

export interface HandlerSettings {
  path: string;
  authorize: HandlerOptions['authorize'];
  token: string | undefined;
  public: boolean;
  hosts: readonly string[] | undefined;
  maxStreams: number;
  maxDownloads: number;
  maxQueries: number;
  timeout: number;
}

const OPTIONS = [
  'path',
  'authorize',
  'token',
  'public',
  'hosts',
  'maxStreams',
  'maxDownloads',
  'maxQueries',
  'timeout',
] as const satisfies readonly (keyof HandlerOptions)[];
const DEFAULT_PATH = '/usage';
const DEFAULT_MAX_STREAMS = 100;
const DEFAULT_MAX_DOWNLOADS = 8;
const DEFAULT_MAX_QUERIES = 8;
const DEFAULT_TIMEOUT = 30_000;
/** Maximum timeout. Node's timers limit it, with room for its multiples. In ms. */
const MAX_TIMEOUT = 60 * 60 * 1000;
/** Pattern of a token that cannot be guessed and can be sent in a header. */
const TOKEN = /^[\x21-\x7e]{16,}$/;
/** Pattern of a path whose segments need no escaping. */
const PATH = /^(?:\/[\w.~-]+)+$/;

/** Validates the options and adds the defaults. */
export function readHandlerOptions(options: HandlerOptions): HandlerSettings {
  checkOptions('handler', options, OPTIONS);
  const { path = DEFAULT_PATH, authorize, token, hosts } = options;
  const {
    maxStreams = DEFAULT_MAX_STREAMS,
    maxDownloads = DEFAULT_MAX_DOWNLOADS,
    maxQueries = DEFAULT_MAX_QUERIES,
    timeout = DEFAULT_TIMEOUT,
  } = options;
  const isPublic = options.public ?? false;
  checkOption('handler.path', path, PATH.test(path), 'a path such as "/usage"');
  checkOption('handler.authorize', authorize, typeof authorize === 'function', 'a function');
  if (token !== undefined) checkToken('handler.token', token);
  checkOption('handler.public', isPublic, typeof isPublic === 'boolean', 'true or false');
  checkOption(
    'handler.hosts',
    hosts,
    Array.isArray(hosts) && hosts.every((host) => isText(host) && (isIP(host) === 6 || !/[:/]/.test(host))),
    'a list of host names, without ports',
  );
  checkOption('handler.maxStreams', maxStreams, isWholeNumber(maxStreams, 0), 'a whole number');
  checkOption('handler.maxDownloads', maxDownloads, isWholeNumber(maxDownloads, 0), 'a whole number');
  checkOption('handler.maxQueries', maxQueries, isWholeNumber(maxQueries, 1), 'a whole number from 1');
  checkOption(
    'handler.timeout',
    timeout,
    isWholeNumber(timeout, 1) && timeout <= MAX_TIMEOUT,
    `a whole number of ms, up to ${MAX_TIMEOUT}`,
  );
  if (isPublic && (token !== undefined || authorize !== undefined)) {
    checkOption('handler.public', true, false, 'false, since a token or authorize is given');
  }
  return {
    path,
    authorize,
    token,
    public: isPublic,
    hosts: hosts?.map((host) => host.toLowerCase()),
    maxStreams,
    maxDownloads,
    maxQueries,
    timeout,
  };
}

/** Throws for a token that is too short to be a secret. @param name Name of the option, for the error. */
export function checkToken(name: string, token: unknown): void {
  if (isText(token) && TOKEN.test(token as string)) return;
  // The message omits the value: it is a secret, even if it is too short.
  const value =
    typeof token === 'string' ? `a string of ${token.length} characters` : `of type ${typeof token}`;
  const expected = '16 or more ASCII characters without spaces';
  throw new TrackUsageError('OPTION_INVALID', { name, value, expected });
}
