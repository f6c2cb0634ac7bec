import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { checkOption, checkOptions, isText, isWholeNumber } from '../options/checks.ts';

/** Options of `usage.handler()`. All may be left out. */
export interface HandlerOptions {
  /** Where the dashboard is: the path that is requested, whatever the handler is mounted on. Defaults to `/usage`. */
  path?: string;
  /**
   * Who may look: called for each request, true lets it in. What it throws or rejects with keeps the request out. The
   * request is that of Node.
   */
  authorize?: (request: IncomingMessage) => boolean | Promise<boolean>;
  /**
   * A secret of 16 characters or more (ASCII, without blanks), which programs send as `Authorization: Bearer …` and
   * people sign in with.
   */
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
  /** The most downloads at the same time. Defaults to 8. */
  maxDownloads?: number;
  /** The most questions that the storage is asked at the same time; twelve times as many may wait. Defaults to 8. */
  maxQuestions?: number;
  /**
   * How long the storage may take for an answer, `authorize` for its own, somebody who signs in for the form, and a client
   * that downloads for reading on. Defaults to `30000` ms (30 seconds).
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
  maxQuestions: number;
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
  'maxQuestions',
  'timeout',
] as const satisfies readonly (keyof HandlerOptions)[];
const DEFAULT_PATH = '/usage';
const DEFAULT_MAX_STREAMS = 100;
const DEFAULT_MAX_DOWNLOADS = 8;
const DEFAULT_MAX_QUESTIONS = 8;
const DEFAULT_TIMEOUT = 30_000;
/** What a timer of Node can wait, less what is made of it. In ms. */
const LONGEST_TIMEOUT = 60 * 60 * 1000;
/** What cannot be guessed, even if somebody tries for years, and can be sent in a header. */
const TOKEN = /^[\x21-\x7e]{16,}$/;
/** Segments of a path that need no escaping. */
const PATH = /^(?:\/[\w.~-]+)+$/;

/** The options, checked, with their defaults. */
export function readHandlerOptions(options: HandlerOptions): HandlerSettings {
  checkOptions('handler', options, OPTIONS);
  const { path = DEFAULT_PATH, authorize, token, hosts } = options;
  const {
    maxStreams = DEFAULT_MAX_STREAMS,
    maxDownloads = DEFAULT_MAX_DOWNLOADS,
    maxQuestions = DEFAULT_MAX_QUESTIONS,
    timeout = DEFAULT_TIMEOUT,
  } = options;
  const isPublic = options.public ?? false;
  checkOption('handler.path', path, PATH.test(path), 'a path such as "/usage"');
  checkOption('handler.authorize', authorize, typeof authorize === 'function', 'a function');
  if (token !== undefined && !(isText(token) && TOKEN.test(token))) {
    // The value is a secret, even one that is too short.
    checkOption(
      'handler.token',
      typeof token,
      false,
      'a text of 16 characters or more, of ASCII, without blanks',
    );
  }
  checkOption('handler.public', isPublic, typeof isPublic === 'boolean', 'true or false');
  checkOption(
    'handler.hosts',
    hosts,
    Array.isArray(hosts) && hosts.every((host) => isText(host) && (isIP(host) === 6 || !/[:/]/.test(host))),
    'a list of host names, without ports',
  );
  checkOption('handler.maxStreams', maxStreams, isWholeNumber(maxStreams, 0), 'a whole number');
  checkOption('handler.maxDownloads', maxDownloads, isWholeNumber(maxDownloads, 0), 'a whole number');
  checkOption('handler.maxQuestions', maxQuestions, isWholeNumber(maxQuestions, 1), 'a whole number from 1');
  checkOption(
    'handler.timeout',
    timeout,
    isWholeNumber(timeout, 1) && timeout <= LONGEST_TIMEOUT,
    `a whole number of ms, up to ${LONGEST_TIMEOUT}`,
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
    maxQuestions,
    timeout,
  };
}
