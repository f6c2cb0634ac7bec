import { Capture } from '../capture/capture.ts';
import { chooseFields, type FieldChoice, type StoredFields } from '../capture/stored-fields.ts';
import { type Mark, ViewFilter } from '../capture/view-filter.ts';
import { show, showKind, TrackUsageError } from '../errors.ts';
import { innerApp, prepareMark, type TrackedApp, track } from '../frameworks/index.ts';
import type { Trust } from '../frameworks/node.ts';
import { journalsDirectory } from '../journal/directory.ts';
import { Journal } from '../journal/journal.ts';
import { verify } from '../maintenance/verify.ts';
import { OPENMETRICS_END } from '../metrics/exposition.ts';
import { healthText } from '../metrics/health.ts';
import { RequestCounter } from '../metrics/request-counter.ts';
import { trafficText } from '../metrics/traffic.ts';
import { readSettings, type TrackUsageOptions } from '../options/tracker-options.ts';
import { onProcessExit } from '../platform/process-exit.ts';
import { requireRuntime } from '../platform/runtime.ts';
import { version } from '../platform/version.ts';
import { UsageQuery } from '../query/query.ts';
import type { Storage } from '../query/storage.ts';
import {
  getSum,
  getUsage,
  type SumOptions,
  type SumResult,
  summaryName,
  type UsageOptions,
} from '../query/sums-and-records.ts';
import type { TextColumn, UsageRecord } from '../record.ts';
import type { HandlerSource } from '../server/api.ts';
import { createHandler, type UsageHandler } from '../server/handler.ts';
import type { HandlerOptions } from '../server/options.ts';
import { RecordWriter } from '../storage/writer.ts';
import { isSame, type Summary } from '../summaries/define.ts';
import { known, STANDARD_SUMMARIES } from '../summaries/standard.ts';
import { WriterClient } from '../writer/app/client.ts';
import { ProblemReporter } from '../writer/app/problem-reporter.ts';
import { statusOf, type UsageStatus } from '../writer/app/status.ts';
import { hasDefaultGeo } from '../writer/enrich/default-geo.ts';

/** Default timeout of `flush` and `close`. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** Options of `TrackUsage.flush` and `TrackUsage.close`. */
export interface TimeoutOptions {
  /** Maximum time to wait for the storages, in ms. Defaults to 10,000. */
  timeout?: number;
}

/** Options of `TrackUsage.metrics`. */
export interface MetricsOptions {
  /** Uses the OpenMetrics 1.0 text format instead of Prometheus's own. Defaults to `false`. */
  openMetrics?: boolean;
}

/** Tracked apps, to prevent two records for one request. */
const trackedApps = new WeakSet<object>();

/**
 * Tracks an app: stores every request, and keeps the summaries of its storages live.
 *
 * After construction, no error is thrown into the app; see `status()` and `onError`.
 *
 * @typeParam Vars Type of the app's vars.
 */
export class TrackUsage<Vars extends object = Record<string, unknown>> implements AsyncDisposable {
  /** Storages and writers, in the order in which they were passed. */
  readonly storages: readonly RecordWriter[];
  readonly #site: string;
  readonly #timeZone: string;
  readonly #trust: Trust | undefined;
  readonly #problems: ProblemReporter;
  readonly #journal: Journal;
  readonly #counter = new RequestCounter();
  readonly #writer: WriterClient | undefined;
  readonly #views: ViewFilter;
  readonly #capture: Capture;
  readonly #removeExitListener: () => void;
  #query: UsageQuery | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param app App of Express, Fastify, Koa, Hono or NestJS, or server of node:http, https or http2. Can be
   * added later with `attach`.
   * @param storages One or several storages and writers. The first one that supports queries is used for
   * queries.
   */
  constructor(
    app?: TrackedApp | null,
    storages: RecordWriter | readonly RecordWriter[] = [],
    options: TrackUsageOptions = {},
  ) {
    requireRuntime();
    this.storages = checkStorages(storages);
    const settings = readSettings(options);
    this.#site = settings.site;
    this.#timeZone = settings.timeZone;
    this.#trust = settings.trust;
    this.#problems = new ProblemReporter(options.onError);
    const onProblem = (error: Error) => this.#problems.report(error);
    if (app) checkUntracked(innerApp(app));
    const closures = closuresOf(this.storages);

    // Data that is lost with the process needs no journal that outlives it.
    const lasting = this.storages.filter(({ ephemeral }) => !ephemeral);
    const directory = journalsDirectory(
      settings.journal.dir,
      JSON.stringify([this.#site, ...lasting.map(({ identity }) => identity)]),
    );
    this.#journal = new Journal({
      directory,
      mode: settings.journal.mode,
      maxBytes: settings.journal.maxBytes,
      inMemory: this.storages.length > 0 && lasting.length === 0,
      header: { site: this.#site, serverName: settings.serverName },
      onProblem,
    });
    this.#views = new ViewFilter(settings.views);
    const { cookie, daily, geo, freeGeoIp, stored } = settings;
    const hasGeo = freeGeoIp !== undefined || (geo === undefined ? hasDefaultGeo() : geo !== false);
    // The writer looks up countries, and recognizes bots, which are no visitors.
    const needed: Partial<FieldChoice> = {
      remoteAddr: hasGeo || daily !== undefined,
      userAgent: stored.userAgent !== false || cookie !== undefined || daily !== undefined,
    };
    const fields = chooseFields((name) => stored[name] === true || needed[name] === true);
    this.#capture = new Capture({
      sink: this.#journal,
      counter: this.#counter,
      cleanUrl: settings.cleanUrl,
      anonymizeIp: settings.anonymizeIp,
      fields,
      stored: chooseFields((name) => stored[name] === true),
      optOut: settings.optOut,
      views: this.#views,
      cookie: settings.cookie,
      cookieWhen: settings.cookieWhen,
      username: options.username,
      names: { site: this.#site, serverName: settings.serverName },
      closures,
      urlKey: settings.urlKey,
      classify: settings.classify,
      onProblem,
    });
    try {
      if (app) this.attach(app);
    } catch (error) {
      // The failed instance cannot be closed by the user.
      this.#capture.stop();
      this.#journal.undo();
      throw error;
    }
    this.#removeExitListener = onProcessExit(() => this.#journal.leave());
    this.#writer =
      this.storages.length === 0
        ? undefined
        : new WriterClient(
            {
              directory,
              journal: this.#journal.id,
              shared: this.#journal.shared.memory,
              maxBytes: settings.journal.maxBytes,
              site: this.#site,
              serverName: settings.serverName,
              timeZone: this.#timeZone,
              durable: settings.journal.mode === 'power',
              geo: settings.geo,
              freeGeoIp: settings.freeGeoIp,
              daily,
              stored: { remoteAddr: stored.remoteAddr, userAgent: stored.userAgent },
              urlKeys: settings.urlKeys,
            },
            this.storages,
            this.#journal,
            onProblem,
          );
    const hasVisitors = cookie !== undefined || daily !== undefined;
    this.#reportIdleSummaries(hasVisitors, hasGeo, stored, settings.stripsCampaigns);
  }

  /** Tracks one more app, with the same storages. Throws if the app is already tracked. */
  attach(app: TrackedApp): this {
    if (this.#closing) throw new TrackUsageError('CLOSED');
    const inner = innerApp(app);
    checkUntracked(inner);
    track(inner, this.#capture, this.#trust);
    trackedApps.add(inner);
    return this;
  }

  /**
   * Returns the capture used by a middleware or plugin.
   * @internal
   */
  openCapture(): { capture: Capture; trust: Trust | undefined } {
    if (this.#closing) throw new TrackUsageError('CLOSED');
    return { capture: this.#capture, trust: this.#trust };
  }

  /**
   * Excludes requests from tracking, if the option `views` is `exclude`. They get no record and no cookie.
   * Throws for an invalid mark.
   * @returns The mark, so that it can be marked inline: `app.get('/health', usage.exclude(health))`.
   */
  exclude<const M extends Mark>(mark: M): M {
    this.#views.add('exclude', mark);
    prepareMark(mark);
    return mark;
  }

  /** Like `exclude`, for the only requests that are tracked if the option `views` is `include`. */
  include<const M extends Mark>(mark: M): M {
    this.#views.add('include', mark);
    prepareMark(mark);
    return mark;
  }

  /**
   * Returns an object for custom data about a request, which the app can modify until the response is
   * complete (Flask-Track-Usage: `track_var`). It is stored as JSON in the record's `vars`, up to 16,384
   * characters including the route's parameters.
   * @param request Argument of the framework's handlers: the request of Express, Fastify or Node, the context
   * of Koa or Hono. Other values are reported to `onError`, and the data is lost.
   */
  vars(request: object): Vars {
    return this.#capture.vars(request) as Vars;
  }

  /**
   * Returns the hits, transfer, errors and duration of a summary's keys, from the first storage that keeps
   * it.
   *
   * With a `period`, returns a list sorted by bucket (newest first), hits (descending) and key. Without one,
   * as in Flask-Track-Usage, returns a list for each period: the buckets that contain `from`, which defaults
   * to now.
   */
  async getSum<const O extends SumOptions>(summary: Summary | string, options?: O): Promise<SumResult<O>> {
    const name = summaryName(summary);
    const storage = this.#first((candidate) => candidate.kept(name) !== undefined);
    const kept = storage?.kept(name);
    if (!storage || !kept) throw this.#summaryError(summary, name);
    return getSum(
      storage.reader,
      kept,
      { site: this.#site, ...options } as O & { site: string },
      this.#timeZone,
    );
  }

  /** Returns records, newest first, from the first storage. */
  async getUsage(options: UsageOptions = {}): Promise<UsageRecord[]> {
    const storage = this.#first(() => true)!;
    return getUsage(storage.reader, { site: this.#site, ...options }, this.#timeZone);
  }

  /** Range queries on the first storage: totals, series, top keys, records. */
  get query(): UsageQuery {
    const storage = this.#first(() => true)!;
    this.#query ??= new UsageQuery(storage.reader, {
      site: this.#site,
      timeZone: this.#timeZone,
      summaries: storage.summaries,
    });
    return this.#query;
  }

  /**
   * Returns the dashboard, its HTTP API and the metrics, for any framework: `app.use(usage.handler())`, or
   * with Fastify `app.register(usage.handler())`. Its own requests are not tracked.
   *
   * Without `token`, `authorize` or `public`, access is limited to localhost, through a one-time link printed
   * at start.
   */
  handler(options: HandlerOptions = {}): UsageHandler {
    const source: HandlerSource = {
      query: this.query,
      site: this.#site,
      status: () => this.status(),
      metrics: (formats) => this.metrics(formats),
      verify: (site, date) => verify({ storage: this.#first(() => true)!, site, from: date, to: date }),
      version: version(),
    };
    return createHandler(source, options, (request) => this.#views.exclude(request));
  }

  /** Returns the counts so far and current problems. Costs almost nothing and never throws. */
  status(): UsageStatus {
    return statusOf(this.#journal, this.#writer, this.storages, this.#problems);
  }

  /**
   * Returns the app's metrics in the text format of Prometheus: requests, transfer and durations by route, method and
   * status class, and the figures of `status()`. Serve it with the content type `METRICS_CONTENT_TYPE`, or
   * `OPENMETRICS_CONTENT_TYPE` if `openMetrics` is set. Never throws.
   */
  metrics(options?: MetricsOptions): string {
    const openMetrics = options?.openMetrics === true;
    const health = healthText(this.status(), openMetrics);
    const traffic = trafficText(this.#counter, openMetrics);
    return `${health}${traffic}${openMetrics ? OPENMETRICS_END : ''}`;
  }

  /**
   * Resolves when every storage has been opened. Rejects if one cannot be: another time zone, a newer schema,
   * no access. Tracking continues either way.
   */
  async ready(): Promise<void> {
    await this.#writer?.ready();
  }

  /**
   * Resolves when every storage has everything recorded until now. Rejects with `TIMEOUT` after the timeout.
   * @param options Timeout.
   */
  async flush({ timeout = DEFAULT_TIMEOUT_MS }: TimeoutOptions = {}): Promise<void> {
    this.#journal.appendPending();
    await this.#writer?.flush(timeout);
  }

  /**
   * Stops tracking, stores the remaining records and ends the threads. Records that cannot be stored before the
   * timeout stay in the journal and are stored after the next start. Never rejects. Idempotent.
   * @param options Timeout.
   */
  close({ timeout = DEFAULT_TIMEOUT_MS }: TimeoutOptions = {}): Promise<void> {
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  /** Calls `close()`, at the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeout: number): Promise<void> {
    this.#capture.stop();
    this.#journal.appendPending();
    this.#removeExitListener();
    const finished = await this.#writer?.close(timeout);
    await this.#journal.close({ discard: finished === true });
    await Promise.all(this.storages.map((storage) => storage.close()));
  }

  #summaryError(summary: Summary | string, name: string): TrackUsageError {
    const meant = typeof summary === 'string' ? known(name) : summary;
    if (meant) return new TrackUsageError('SUMMARY_NOT_KEPT', { name: meant.title });
    const names = this.storages.flatMap(({ summaries }) => summaries.map((kept) => kept.name));
    return new TrackUsageError('SUMMARY_UNKNOWN', {
      value: show(name),
      known: [...new Set(names)].join(', '),
    });
  }

  #first(can: (storage: Storage) => boolean): Storage | undefined {
    const storages = this.storages.filter((storage): storage is Storage => 'reader' in storage);
    if (storages.length === 0) throw new TrackUsageError('STORAGE_MISSING');
    return storages.find(can);
  }

  /** Reports summaries that can only stay empty, once each. */
  #reportIdleSummaries(
    hasVisitors: boolean,
    hasGeo: boolean,
    stored: Required<StoredFields>,
    stripsCampaigns: boolean,
  ): void {
    const kept = (name: string) =>
      this.storages.some(({ summaries }) => summaries.some((s) => s.name === name));
    const idle = (name: string, reason: string, how: string) =>
      this.#problems.report(new TrackUsageError('SUMMARY_IDLE', { name, reason, how }));
    if (kept('visitors') && !hasVisitors) {
      idle('sumVisitors', 'visitors are not identified', "pass visitors: 'cookie' or visitors: 'daily'");
    }
    for (const { name, title, column } of STANDARD_SUMMARIES) {
      const field = column && FIELD_OF[column];
      if (field === undefined || stored[field] !== false || !kept(name)) continue;
      idle(title, `store.${field} is false`, `remove store.${field}, or ${title} from the hooks`);
    }
    if (kept('campaigns') && stripsCampaigns) {
      idle(
        'sumCampaigns',
        'stripQuery removes all campaigns',
        'keep utm_source, or remove sumCampaigns from the hooks',
      );
    }
    if (kept('geo') && !hasGeo) {
      idle(
        'sumGeo',
        'there is no country database and no geolocation service',
        'run npm install @ip-location-db/geo-whois-asn-country-mmdb, or pass geo: { database: "file.mmdb" } or freeGeoIp: { endpoint }',
      );
    }
  }
}

/** Fields without which a column is always `null`. */
const FIELD_OF: Partial<Record<TextColumn, keyof StoredFields>> = {
  remoteAddr: 'remoteAddr',
  agent: 'userAgent',
  browser: 'userAgent',
  platform: 'userAgent',
  device: 'userAgent',
  botName: 'userAgent',
  language: 'language',
  referrer: 'referrer',
  referrerHost: 'referrer',
  username: 'username',
};

function checkUntracked(app: object): void {
  if (trackedApps.has(app)) throw new TrackUsageError('APP_TRACKED');
}

/** Returns the summaries of all storages whose key is a function, without duplicates. */
function closuresOf(storages: readonly RecordWriter[]): Summary[] {
  const byName = new Map<string, Summary>();
  for (const summary of storages.flatMap(({ summaries }) => summaries)) {
    if (summary.column !== undefined) continue;
    const same = byName.get(summary.name);
    if (same !== undefined && !isSame(same, summary)) {
      throw new TrackUsageError('SUMMARY_TAKEN', { name: summary.name });
    }
    byName.set(summary.name, summary);
  }
  return [...byName.values()].filter(({ key }) => key !== undefined);
}

function checkStorages(given: RecordWriter | readonly RecordWriter[]): readonly RecordWriter[] {
  const storages = Array.isArray(given) ? given : [given];
  for (const storage of storages) {
    if (!RecordWriter.isWriter(storage))
      throw new TrackUsageError('STORAGE_INVALID', { value: showKind(storage) });
  }
  return storages;
}
