import type { IncomingMessage } from 'node:http';
import { checkOption, checkOptions, isText } from '../options.ts';

/** Options of `usage.handler()`. All may be left out. */
export interface HandlerOptions {
  /** Where the dashboard is: the path that is requested, whatever the handler is mounted on. Defaults to `/usage`. */
  path?: string;
  /**
   * Who may look: called for each request, true lets it in. What it throws or rejects with keeps the request out. The
   * request is that of Node.
   */
  authorize?: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** A secret of 16 characters or more, which programs send as `Authorization: Bearer …` and people sign in with. */
  token?: string;
  /** Lets everybody look. Defaults to false. */
  public?: boolean;
  /**
   * Names under which the handler may be asked (the Host header, without its port), such as `stats.example.com`.
   * Defaults to all, but where nothing guards it or it is public on loopback, to `localhost` and loopback addresses.
   */
  hosts?: readonly string[];
  /** The most event streams at the same time. Defaults to 100. */
  maxStreams?: number;
}

export interface HandlerSettings {
  path: string;
  authorize: HandlerOptions['authorize'];
  token: string | undefined;
  public: boolean;
  hosts: readonly string[] | undefined;
  maxStreams: number;
}

const OPTIONS = [
  'path',
  'authorize',
  'token',
  'public',
  'hosts',
  'maxStreams',
] as const satisfies readonly (keyof HandlerOptions)[];
const DEFAULT_PATH = '/usage';
const DEFAULT_MAX_STREAMS = 100;
/** What cannot be guessed, even if somebody tries for years. */
const SHORTEST_TOKEN = 16;
/** Segments of a path that need no escaping. */
const PATH = /^(?:\/[\w.~-]+)+$/;

/** The options, checked, with their defaults. */
export function readHandlerOptions(options: HandlerOptions): HandlerSettings {
  checkOptions('handler', options, OPTIONS);
  const { path = DEFAULT_PATH, authorize, token, hosts, maxStreams = DEFAULT_MAX_STREAMS } = options;
  const isPublic = options.public ?? false;
  checkOption('handler.path', path, PATH.test(path), 'a path such as "/usage"');
  checkOption('handler.authorize', authorize, typeof authorize === 'function', 'a function');
  if (token !== undefined && !(isText(token) && token.length >= SHORTEST_TOKEN)) {
    // The value is a secret, even one that is too short.
    checkOption('handler.token', typeof token, false, `a text of ${SHORTEST_TOKEN} characters or more`);
  }
  checkOption('handler.public', isPublic, typeof isPublic === 'boolean', 'true or false');
  checkOption('handler.hosts', hosts, Array.isArray(hosts) && hosts.every(isText), 'a list of host names');
  checkOption(
    'handler.maxStreams',
    maxStreams,
    Number.isSafeInteger(maxStreams) && maxStreams >= 0,
    'a whole number',
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
  };
}
