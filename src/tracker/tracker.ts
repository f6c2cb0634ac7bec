import { Capture } from '../capture/capture.ts';
import { type Mark, MarkedViews } from '../capture/views.ts';
import { show, showKind, TrackUsageError } from '../errors.ts';
import { type App, innerApp, prepareMark, track } from '../frameworks/index.ts';
import type { Trust } from '../frameworks/node.ts';
import { journalsDirectory } from '../journal/directory.ts';
import { Journal } from '../journal/journal.ts';
import { OPENMETRICS_END } from '../metrics/exposition.ts';
import { healthText } from '../metrics/health.ts';
import { readSettings, type TrackUsageOptions } from '../options/tracker-options.ts';
import { onProcessExit } from '../platform/process-exit.ts';
import { requireRuntime } from '../platform/runtime.ts';
import { version } from '../platform/version.ts';
import {
  getSum,
  getUsage,
  type SumAnswer,
  type SumOptions,
  summaryName,
  type UsageOptions,
} from '../query/ask.ts';
import { UsageQuery } from '../query/query.ts';
import type { Storage } from '../query/storage.ts';
import type { UsageRecord } from '../record.ts';
import type { HandlerSource } from '../server/api.ts';
import { createHandler, type UsageHandler } from '../server/handler.ts';
import type { HandlerOptions } from '../server/options.ts';
import { RecordWriter } from '../storage/writer.ts';
import { isSame, type Summary } from '../summaries/define.ts';
import { known } from '../summaries/standard.ts';
import { WriterClient } from '../writer/app/client.ts';
import { Problems } from '../writer/app/problem-reporter.ts';
import { statusOf, type UsageStatus } from '../writer/app/status.ts';
import { hasDefaultGeo } from '../writer/enrich/default-geo.ts';

/** How long `flush` and `close` wait, unless told otherwise. In ms. */
const DEFAULT_TIMEOUT = 10_000;

export interface MetricsOptions {
  /** The text of OpenMetrics 1.0 instead of Prometheus's own. Defaults to `false`. */
  openMetrics?: boolean;
}

/** The apps that are tracked: two records for one request help nobody. */
const trackedApps = new WeakSet<object>();

/**
 * Tracks an app: every request is stored, and the summaries of its storages are kept live.
 *
 * Nothing that happens after construction throws into the app; see `status()` and `onError`.
 *
 * @typeParam Vars The type of what the app notes with `vars`.
 */
export class TrackUsage<Vars extends object = Record<string, unknown>> implements AsyncDisposable {
  readonly storages: readonly RecordWriter[];
  readonly #site: string;
  readonly #timeZone: string;
  readonly #trust: Trust | undefined;
  readonly #problems: Problems;
  readonly #journal: Journal;
  readonly #writer: WriterClient | undefined;
  readonly #views: MarkedViews;
  readonly #capture: Capture;
  readonly #offExit: () => void;
  #query: UsageQuery | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param app An app of Express, Fastify, Koa, Hono or NestJS, or a server of node:http, https or http2. May come
   * later, by `attach`.
   * @param storages Storages and writers, one or several; the first one that can answers questions.
   */
  constructor(
    app?: App | null,
    storages: RecordWriter | readonly RecordWriter[] = [],
    options: TrackUsageOptions = {},
  ) {
    requireRuntime();
    this.storages = checkStorages(storages);
    const settings = readSettings(options);
    this.#site = settings.site;
    this.#timeZone = settings.timeZone;
    this.#trust = settings.trust;
    this.#problems = new Problems(options.onError);
    const onProblem = (error: Error) => this.#problems.report(error);
    if (app) checkUntracked(innerApp(app));
    const closures = closuresOf(this.storages);

    // What is forgotten with the process needs no journal that outlasts it.
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
    this.#views = new MarkedViews(settings.views);
    this.#capture = new Capture({
      sink: this.#journal,
      redact: settings.redact,
      anonymizeIp: options.anonymizeIp ?? false,
      views: this.#views,
      cookie: settings.cookie,
      cookieWhen: settings.cookieWhen,
      username: options.username,
      names: { site: this.#site, serverName: settings.serverName },
      closures,
      onProblem,
    });
    try {
      if (app) this.attach(app);
    } catch (error) {
      // There will be nobody to close it.
      this.#capture.stop();
      this.#journal.undo();
      throw error;
    }
    this.#offExit = onProcessExit(() => this.#journal.leave());
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
            },
            this.storages,
            this.#journal,
            onProblem,
          );
    const { cookie, geo, freeGeoIp } = settings;
    const hasPlaces = freeGeoIp !== undefined || (geo === undefined ? hasDefaultGeo() : geo !== false);
    this.#reportIdleSummaries(cookie !== undefined, hasPlaces);
  }

  /** Tracks one more app, with the same storages. Throws for an app that is tracked already. */
  attach(app: App): this {
    if (this.#closing) throw new TrackUsageError('CLOSED');
    const inner = innerApp(app);
    checkUntracked(inner);
    track(inner, this.#capture, this.#trust);
    trackedApps.add(inner);
    return this;
  }

  /** What a middleware or a plugin tracks with. @internal */
  openCapture(): { capture: Capture; trust: Trust | undefined } {
    if (this.#closing) throw new TrackUsageError('CLOSED');
    return { capture: this.#capture, trust: this.#trust };
  }

  /**
   * Marks requests that are not tracked, where the option `views` is `exclude`: they become no record and get no
   * cookie. Throws for what is no mark.
   * @returns The mark, so that it may be marked where it is given: `app.get('/health', usage.exclude(health))`.
   */
  exclude<const M extends Mark>(mark: M): M {
    this.#views.add('exclude', mark);
    prepareMark(mark);
    return mark;
  }

  /** As `exclude`, for the requests that alone are tracked where the option `views` is `include`. */
  include<const M extends Mark>(mark: M): M {
    this.#views.add('include', mark);
    prepareMark(mark);
    return mark;
  }

  /**
   * What the app notes about a request (Flask-Track-Usage: `track_var`): an object to write to, until the response
   * is complete. It is stored as JSON in the record's `vars`; up to 16,384 characters together with the route's
   * parameters.
   * @param request What the framework gives to handlers: the request of Express, Fastify or Node, the context of
   * Koa or Hono. Anything else is told to `onError`, and what is noted is lost.
   */
  vars(request: object): Vars {
    return this.#capture.vars(request) as Vars;
  }

  /**
   * The hits, bytes, errors and time of the keys of a summary, from the first storage that keeps it.
   *
   * With a `period` a list, by bucket (newest first), hits (most first) and key; without one, as in
   * Flask-Track-Usage, a list for each period: the buckets that hold `from`, by default now.
   */
  async getSum<const O extends SumOptions>(summary: Summary | string, options?: O): Promise<SumAnswer<O>> {
    const name = summaryName(summary);
    const storage = this.#first((candidate) => candidate.kept(name) !== undefined);
    const kept = storage?.kept(name);
    if (!storage || !kept) throw this.#notKept(summary, name);
    return getSum(
      storage.reader,
      kept,
      { site: this.#site, ...options } as O & { site: string },
      this.#timeZone,
    );
  }

  /** Records, newest first, from the first storage. */
  async getUsage(options: UsageOptions = {}): Promise<UsageRecord[]> {
    const storage = this.#first(() => true)!;
    return getUsage(storage.reader, { site: this.#site, ...options }, this.#timeZone);
  }

  /** Questions over a range of time, to the first storage: totals, series, top keys, records. */
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
   * The dashboard, its HTTP API and the metrics, for any framework: `app.use(usage.handler())`, with Fastify
   * `app.register(usage.handler())`. Its own requests are not tracked.
   *
   * Without `token`, `authorize` or `public` it answers this machine alone, to who has the link that it prints.
   */
  handler(options: HandlerOptions = {}): UsageHandler {
    const source: HandlerSource = {
      query: this.query,
      site: this.#site,
      status: () => this.status(),
      metrics: (formats) => this.metrics(formats),
      version: version(),
    };
    return createHandler(source, options, (request) => this.#views.leaveOut(request));
  }

  /** What happened so far, and what is wrong at the moment. Costs nothing; never throws. */
  status(): UsageStatus {
    return statusOf(this.#journal, this.#writer, this.storages, this.#problems);
  }

  /**
   * The app's figures for Prometheus, as text: requests, bytes and durations by route, method and class of statuses,
   * and what `status()` says. Answer it with the content type `METRICS_CONTENT_TYPE`, or
   * `OPENMETRICS_CONTENT_TYPE` where `openMetrics` is set.
   *
   * Never rejects. Where the writer's thread does not answer within 2,000 ms, it holds what `status()` says alone, and
   * `track_usage_metrics_complete` is 0.
   */
  async metrics(options?: MetricsOptions): Promise<string> {
    const openMetrics = options?.openMetrics === true;
    this.#journal.appendPending();
    const traffic = await this.#writer?.metrics(openMetrics);
    const health = healthText(this.status(), traffic !== undefined, openMetrics);
    return `${health}${traffic ?? ''}${openMetrics ? OPENMETRICS_END : ''}`;
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
    this.#offExit();
    const finished = await this.#writer?.close(timeout);
    await this.#journal.close({ discard: finished === true });
    await Promise.all(this.storages.map((storage) => storage.close()));
  }

  #notKept(summary: Summary | string, name: string): TrackUsageError {
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

  /** A summary that can only stay empty is said once. */
  #reportIdleSummaries(hasCookie: boolean, hasPlaces: boolean): void {
    const kept = (name: string) =>
      this.storages.some(({ summaries }) => summaries.some((s) => s.name === name));
    const idle = (name: string, reason: string, how: string) =>
      this.#problems.report(new TrackUsageError('SUMMARY_IDLE', { name, reason, how }));
    if (kept('visitors') && !hasCookie) {
      idle('sumVisitors', 'visitors are told apart by a cookie', 'pass cookie: true');
    }
    if (kept('geo') && !hasPlaces) {
      idle(
        'sumGeo',
        'there is no country database and no geography service',
        'npm install @ip-location-db/geo-whois-asn-country-mmdb, or pass geo: { database: "file.mmdb" } or freeGeoIp: { endpoint }',
      );
    }
  }
}

function checkUntracked(app: object): void {
  if (trackedApps.has(app)) throw new TrackUsageError('APP_TRACKED');
}

/** The summaries of all storages whose key is a function, each once. */
function closuresOf(storages: readonly RecordWriter[]): Summary[] {
  const own = new Map<string, Summary>();
  for (const summary of storages.flatMap(({ summaries }) => summaries)) {
    if (summary.column !== undefined) continue;
    const same = own.get(summary.name);
    if (same !== undefined && !isSame(same, summary)) {
      throw new TrackUsageError('SUMMARY_TAKEN', { name: summary.name });
    }
    own.set(summary.name, summary);
  }
  return [...own.values()].filter(({ key }) => key !== undefined);
}

function checkStorages(given: RecordWriter | readonly RecordWriter[]): readonly RecordWriter[] {
  const storages = Array.isArray(given) ? given : [given];
  for (const storage of storages) {
    if (!RecordWriter.isWriter(storage))
      throw new TrackUsageError('STORAGE_INVALID', { value: showKind(storage) });
  }
  return storages;
}
