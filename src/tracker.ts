import proxyAddr from 'proxy-addr';
import { Capture } from './capture/capture.ts';
import type { Request } from './capture/exchange.ts';
import { createRedactor } from './capture/redact.ts';
import { type CookieOptions, VisitorCookie } from './capture/visitor.ts';
import { reasonOf, show, TrackUsageError } from './errors.ts';
import { type App, track } from './frameworks/index.ts';
import { journalsDirectory } from './journal/directory.ts';
import { JOURNAL_MODES, Journal, type JournalMode } from './journal/journal.ts';
import { checkOption, checkOptions, isText, isWholeNumber, switchFromEnvironment } from './options.ts';
import { Problems } from './problems.ts';
import {
  getSum,
  getUsage,
  type SumAnswer,
  type SumOptions,
  summaryOf,
  type UsageOptions,
} from './query/ask.ts';
import type { UsageRecord } from './record.ts';
import { requireRuntime } from './runtime.ts';
import { statusOf, type UsageStatus } from './status.ts';
import { Storage } from './storages/storage.ts';
import type { Summary } from './summaries/define.ts';
import { calendar } from './summaries/periods.ts';
import { WriterClient } from './writer/client.ts';
import { type GeoOption, hasDefaultGeo } from './writer/geo.ts';

/** Options of a TrackUsage. All may be left out. */
export interface TrackUsageOptions {
  /** The name under which several apps share a storage. Defaults to `default`. */
  site?: string;
  /** The key of `sumServer`. Defaults to the site. */
  serverName?: string;
  /** The IANA zone in which hours, days and months begin. Defaults to `UTC`. */
  timeZone?: string;
  journal?: JournalSettings;
  /** Visitors by a cookie. Defaults to `TRACK_USAGE_COOKIE`, or false. */
  cookie?: boolean | CookieOptions;
  /** The country database, or false for none. Defaults to the optional package, where it is installed. */
  geo?: GeoOption;
  /**
   * For servers of node:http, https and http2: the proxies whose X-Forwarded headers are believed, as `proxy-addr`
   * takes them. Express apps have their own setting. Defaults to none.
   */
  trustProxy?: boolean | string | readonly string[] | ((address: string, hop: number) => boolean);
  /** Who made the request. Defaults to the user of Basic credentials. */
  username?: (request: Request) => string | null | undefined;
  /** Names of query values that are never stored; replaces the default list. */
  redact?: readonly string[];
  /** Masks addresses before anything is stored: the last byte of IPv4, all but 48 bits of IPv6. Defaults to false. */
  anonymizeIp?: boolean;
  /** Told what goes wrong, at most once a minute a kind. Defaults to a line on stderr. */
  onError?: (error: Error) => void;
}

export interface JournalSettings {
  /** The directory of the journals. Defaults to `.track-usage` in the working directory. */
  dir?: string;
  /** Bytes that the journals of a directory may hold together. Defaults to 1 GiB, at least 1 MiB. */
  maxBytes?: number;
  /** See `JournalMode`. Defaults to `append`. */
  mode?: JournalMode;
}

const OPTIONS = [
  'site',
  'serverName',
  'timeZone',
  'journal',
  'cookie',
  'geo',
  'trustProxy',
  'username',
  'redact',
  'anonymizeIp',
  'onError',
] as const satisfies readonly (keyof TrackUsageOptions)[];

const DEFAULT_MAX_BYTES = 1024 ** 3;
const LEAST_MAX_BYTES = 1024 ** 2;
/** How long `flush` and `close` wait, unless told otherwise. In ms. */
const DEFAULT_TIMEOUT = 10_000;

/** The apps that are tracked: two records for one request help nobody. */
const trackedApps = new WeakSet<object>();

/**
 * Tracks an app: every request is stored, and the summaries of its storages are kept live.
 *
 * Nothing that happens after construction throws into the app; see `status()` and `onError`.
 */
export class TrackUsage implements AsyncDisposable {
  readonly storages: readonly Storage[];
  readonly #site: string;
  readonly #timeZone: string;
  readonly #trust: (address: string, hop: number) => boolean;
  readonly #problems: Problems;
  readonly #journal: Journal;
  readonly #writer: WriterClient | undefined;
  readonly #capture: Capture;
  readonly #onExit: () => void;
  #closing: Promise<void> | undefined;

  /**
   * @param app An Express app, or a server of node:http, https or http2. May come later, by `attach`.
   * @param storages One storage or several; the first one that can answers questions.
   */
  constructor(
    app?: App | null,
    storages: Storage | readonly Storage[] = [],
    options: TrackUsageOptions = {},
  ) {
    requireRuntime();
    checkOptions('TrackUsage', options, OPTIONS);
    this.storages = checkStorages(storages);
    const settings = readOptions(options);
    this.#site = settings.site;
    this.#timeZone = settings.timeZone;
    this.#trust = settings.trust;
    this.#problems = new Problems(options.onError);
    const onProblem = (error: Error) => this.#problems.report(error);
    if (app) checkUntracked(app);

    const directory = journalsDirectory(
      settings.journal.dir,
      JSON.stringify([this.#site, ...this.storages.map(({ identity }) => identity)]),
    );
    this.#journal = new Journal({
      directory,
      mode: settings.journal.mode ?? 'append',
      maxBytes: settings.journal.maxBytes ?? DEFAULT_MAX_BYTES,
      header: { site: this.#site, serverName: settings.serverName },
      onProblem,
    });
    this.#capture = new Capture({
      journal: this.#journal,
      redact: settings.redact,
      anonymizeIp: options.anonymizeIp ?? false,
      cookie: settings.cookie,
      cookieWhen: settings.cookieWhen,
      username: options.username,
      onError: (what, error) =>
        onProblem(new TrackUsageError('HOOK_FAILED', { what, reason: reasonOf(error) }, { cause: error })),
    });
    this.#onExit = () => this.#journal.appendPending();
    process.on('exit', this.#onExit);
    this.#writer =
      this.storages.length === 0
        ? undefined
        : new WriterClient(
            {
              directory,
              journal: this.#journal.id,
              shared: this.#journal.shared.memory,
              site: this.#site,
              serverName: settings.serverName,
              timeZone: this.#timeZone,
              durable: settings.journal.mode === 'power',
              geo: options.geo,
              storages: this.storages.map(({ label, module, options, summaries }) => ({
                label,
                module,
                options,
                summaries,
              })),
            },
            this.#journal,
            onProblem,
          );
    this.#reportIdleSummaries(settings.cookie !== undefined, options.geo);
    if (app) this.attach(app);
  }

  /** Tracks one more app, with the same storages. Throws for an app that is tracked already. */
  attach(app: App): this {
    if (this.#closing) throw new TrackUsageError('CLOSED');
    checkUntracked(app);
    track(app, this.#capture, this.#trust);
    trackedApps.add(app);
    return this;
  }

  /**
   * The hits, bytes, errors and time of the keys of a summary, from the first storage that keeps it.
   *
   * With a `period` a list, by bucket (newest first), hits (most first) and key; without one, as in
   * Flask-Track-Usage, a list for each period: the buckets that hold `from`, by default now.
   */
  async getSum<const O extends SumOptions>(summary: Summary | string, options?: O): Promise<SumAnswer<O>> {
    const asked = summaryOf(summary);
    const storage = this.#first((candidate) => candidate.keeps(asked));
    if (!storage) throw new TrackUsageError('SUMMARY_NOT_KEPT', { name: asked.title });
    return getSum(
      storage.reader,
      asked,
      { site: this.#site, ...options } as O & { site: string },
      this.#timeZone,
    );
  }

  /** Records, newest first, from the first storage. */
  async getUsage(options: UsageOptions = {}): Promise<UsageRecord[]> {
    const storage = this.#first(() => true)!;
    return getUsage(storage.reader, { site: this.#site, ...options }, this.#timeZone);
  }

  /** What happened so far, and what is wrong at the moment. Costs nothing; never throws. */
  status(): UsageStatus {
    return statusOf(this.#journal, this.#writer, this.storages, this.#problems);
  }

  /**
   * Resolves when every storage has been opened; rejects with what is wrong where one cannot be: another time
   * zone, a newer schema, no access. Tracking goes on either way.
   */
  async ready(): Promise<void> {
    await this.#writer?.ready();
  }

  /**
   * Resolves when every storage has all that was recorded until now; rejects with `TIMEOUT` after `timeout` ms,
   * by default 10,000.
   */
  async flush({ timeout = DEFAULT_TIMEOUT }: { timeout?: number } = {}): Promise<void> {
    this.#journal.appendPending();
    await this.#writer?.flush(timeout);
  }

  /**
   * Stops tracking, stores what is left and ends the threads. What cannot be stored within `timeout` ms (by
   * default 10,000) stays in the journal, and the next start stores it. Never rejects; may be called twice.
   */
  close({ timeout = DEFAULT_TIMEOUT }: { timeout?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeout: number): Promise<void> {
    this.#capture.stop();
    this.#journal.appendPending();
    process.off('exit', this.#onExit);
    const finished = await this.#writer?.close(timeout);
    if (finished === false)
      this.#problems.report(new TrackUsageError('TIMEOUT', { what: 'close', value: timeout }));
    this.#journal.close({ discard: finished === true });
    await Promise.all(this.storages.map((storage) => storage.close()));
  }

  #first(can: (storage: Storage) => boolean): Storage | undefined {
    if (this.storages.length === 0) throw new TrackUsageError('STORAGE_MISSING');
    return this.storages.find(can);
  }

  /** A summary that can only stay empty is said once. */
  #reportIdleSummaries(hasCookie: boolean, geo: GeoOption): void {
    const kept = (name: string) =>
      this.storages.some(({ summaries }) => summaries.some((s) => s.name === name));
    const idle = (name: string, reason: string, how: string) =>
      this.#problems.report(new TrackUsageError('SUMMARY_IDLE', { name, reason, how }));
    if (kept('visitors') && !hasCookie) {
      idle('sumVisitors', 'visitors are told apart by a cookie', 'pass cookie: true');
    }
    if (kept('geo') && (geo === false || (geo === undefined && !hasDefaultGeo()))) {
      idle(
        'sumGeo',
        'there is no country database',
        'npm install @ip-location-db/geo-whois-asn-country-mmdb, or pass geo: { database: "file.mmdb" }',
      );
    }
  }
}

function checkUntracked(app: object): void {
  if (trackedApps.has(app)) throw new TrackUsageError('APP_TRACKED');
}

function checkStorages(given: Storage | readonly Storage[]): readonly Storage[] {
  const storages = Array.isArray(given) ? given : [given];
  for (const storage of storages) {
    if (!(storage instanceof Storage)) throw new TrackUsageError('STORAGE_INVALID', { value: show(storage) });
  }
  return storages;
}

/** The options, checked, with their defaults. */
function readOptions(options: TrackUsageOptions) {
  const {
    site = 'default',
    timeZone = 'UTC',
    journal = {},
    redact,
    username,
    anonymizeIp,
    onError,
  } = options;
  checkOption('site', site, isText(site) && site.length <= 255, 'a name of 1 to 255 characters');
  const { serverName = site } = options;
  checkOption(
    'serverName',
    serverName,
    isText(serverName) && serverName.length <= 255,
    'a name of 1 to 255 characters',
  );
  calendar(timeZone);
  checkOptions('journal', journal, ['dir', 'maxBytes', 'mode']);
  checkOption('journal.dir', journal.dir, isText(journal.dir), 'the path of a directory');
  checkOption(
    'journal.maxBytes',
    journal.maxBytes,
    isWholeNumber(journal.maxBytes, LEAST_MAX_BYTES),
    `a whole number of bytes, at least ${LEAST_MAX_BYTES}`,
  );
  checkOption(
    'journal.mode',
    journal.mode,
    JOURNAL_MODES.includes(journal.mode as JournalMode),
    `one of ${JOURNAL_MODES.map((mode) => `"${mode}"`).join(', ')}`,
  );
  checkOption('username', username, typeof username === 'function', 'a function');
  checkOption('onError', onError, typeof onError === 'function', 'a function');
  checkOption('anonymizeIp', anonymizeIp, typeof anonymizeIp === 'boolean', 'true or false');
  checkOption('redact', redact, Array.isArray(redact) && redact.every(isText), 'a list of names');
  checkGeo(options.geo);
  const { cookie, cookieWhen } = readCookie(options.cookie);
  return {
    site,
    serverName,
    timeZone,
    journal,
    cookie,
    cookieWhen,
    trust: readTrust(options.trustProxy),
    redact: createRedactor(redact),
  };
}

function readCookie(given: TrackUsageOptions['cookie']) {
  const option = given ?? switchFromEnvironment('TRACK_USAGE_COOKIE') ?? false;
  if (option === false) return { cookie: undefined, cookieWhen: undefined };
  const options = option === true ? {} : option;
  checkOptions('cookie', options, ['name', 'maxAge', 'path', 'domain', 'secret', 'when']);
  return { cookie: new VisitorCookie(options), cookieWhen: options.when };
}

function checkGeo(geo: GeoOption): void {
  if (geo === undefined || geo === false) return;
  checkOptions('geo', geo, ['database']);
  checkOption('geo.database', geo.database, isText(geo.database), 'the path of a file in MMDB format');
}

function readTrust(given: TrackUsageOptions['trustProxy']): (address: string, hop: number) => boolean {
  if (given === undefined || typeof given === 'boolean') return () => given === true;
  if (typeof given === 'function') return given;
  try {
    return proxyAddr.compile(
      typeof given === 'string' ? given.split(',').map((part) => part.trim()) : [...given],
    );
  } catch (error) {
    throw new TrackUsageError(
      'OPTION_INVALID',
      {
        name: 'trustProxy',
        value: show(given),
        expected: 'true, addresses, subnets, "loopback", "linklocal", "uniquelocal", or a function',
      },
      { cause: error },
    );
  }
}
