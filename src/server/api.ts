import * as v from 'valibot';
import { recordJson } from '../formats/record-json.ts';
import type { COMPARISONS, Comparison } from '../query/comparison.ts';
import { invalid } from '../query/invalid.ts';
import type { Filter } from '../query/query.ts';
import { calendar } from '../summaries/periods.ts';
import type { UsageStatus } from '../writer/app/status.ts';
import { bucketLines, type Lines, recordLines, topLines } from './export.ts';
import { refuse } from './problem.ts';
import type { Queries } from './queries.ts';
import * as schemas from './schemas.ts';
import type { Verifications, VerifyDay } from './verification.ts';

/** Data source of the handler. */
export interface HandlerSource {
  query: Queries;
  /** Site used if a request names none. */
  site: string;
  /** True if access is public. */
  isPublic?: boolean;
  /** Returns the status, or `null` without an app. */
  status(): UsageStatus | null;
  /** Returns the metrics as text. `undefined` without an app. */
  metrics?: ((options: { openMetrics: boolean }) => string) | undefined;
  /** Compares the summaries of a day with its records. `undefined` without a storage that can be verified. */
  verify?: VerifyDay | undefined;
  version: string;
}

/** Data source of the endpoints. */
export interface EndpointSource extends Omit<HandlerSource, 'verify'> {
  verifications?: Verifications | undefined;
}

/** One endpoint of the HTTP API. */
export interface Endpoint {
  /** Path after `/api/v1`. `{summary}` is any segment. */
  path: string;
  summary: string;
  parameters: v.GenericSchema;
  response: v.GenericSchema;
  /**
   * Runs the query.
   * @param summary Value of `{summary}` in the path.
   */
  query(source: EndpointSource, parameters: never, summary: string): Promise<unknown>;
  /** Returns the same without a row limit, line by line. */
  lines?: (source: EndpointSource, parameters: never, summary: string) => Lines;
}

type Of<S extends v.GenericSchema> = v.InferOutput<S>;
interface Compared {
  compare?: 'true' | 'false' | (typeof COMPARISONS)[number] | undefined;
  compareFrom?: string | undefined;
  compareTo?: string | undefined;
}
type Common = Compared & { filter?: string[] | undefined };

function endpoint<P extends v.GenericSchema, A extends v.GenericSchema>(given: {
  path: string;
  summary: string;
  parameters: P;
  response: A;
  query(source: EndpointSource, parameters: Of<P>, summary: string): Promise<Of<A>>;
  lines?: (source: EndpointSource, parameters: Of<P>, summary: string) => unknown;
}): Endpoint {
  return given as unknown as Endpoint;
}

export const ENDPOINTS: readonly Endpoint[] = [
  endpoint({
    path: '/site',
    summary: 'Time zone of the site, its summaries, and the status of the app.',
    parameters: schemas.siteParameters,
    response: schemas.siteResponse,
    query: async ({ query, version, verifications, ...source }, { site }) => ({
      ...(await query.site(defined({ site }))),
      version,
      verify: verifications !== undefined,
      status: shown(source),
    }),
  }),
  endpoint({
    path: '/status',
    summary: 'Status of the app: pending and dropped records, and the last error.',
    parameters: schemas.noParameters,
    response: schemas.statusResponse,
    query: async (source) => ({ status: shown(source) }),
  }),
  endpoint({
    path: '/verify',
    summary: 'Compares the summaries of yesterday with its records. The result is cached for 1 minute.',
    parameters: schemas.siteParameters,
    response: schemas.verifyResponse,
    query: async ({ verifications, isPublic, site: own }, { site = own }) => {
      if (isPublic) {
        const how = 'Pass token instead of public: true, or run track-usage verify.';
        return refuse(403, 'Verification is not public', how, 'VERIFY_PRIVATE');
      }
      if (!verifications) return refuse(404, 'Not found', 'Run track-usage verify.', 'PATH_UNKNOWN');
      return verifications.yesterday(site);
    },
  }),
  endpoint({
    path: '/totals',
    summary: 'Hits, transfer, errors, duration, visitors and bots of a range.',
    parameters: schemas.totalsParameters,
    response: schemas.totalsResponse,
    query: ({ query }, parameters) => query.totals(optionsOf(parameters)),
  }),
  endpoint({
    path: '/series',
    summary: 'Totals of each hour, day or month of a range, optionally for one key of a summary.',
    parameters: schemas.seriesParameters,
    response: schemas.seriesResponse,
    query: ({ query }, parameters) => query.series(seriesOptions(parameters)),
    lines: ({ query }, parameters) => bucketLines(query, seriesOptions(parameters)),
  }),
  endpoint({
    path: '/summaries/{summary}',
    summary: 'Keys of a summary, largest first, and the sum of the remaining keys.',
    parameters: schemas.topParameters,
    response: schemas.topResponse,
    query: ({ query }, parameters, summary) => query.top(summary, topOptions(parameters)),
    lines: ({ query }, parameters, summary) => topLines(query, summary, topOptions(parameters)),
  }),
  endpoint({
    path: '/minutes',
    summary: 'Totals of each of the last minutes, up to now.',
    parameters: schemas.minutesParameters,
    response: schemas.minutesResponse,
    query: ({ query }, parameters) => query.minutes(optionsOf(parameters)),
  }),
  endpoint({
    path: '/records',
    summary: 'Requests, newest first.',
    parameters: schemas.recordsParameters,
    response: schemas.recordsResponse,
    query: async ({ query }, parameters) => {
      const answer = await query.records(optionsOf(parameters));
      const zone = calendar(answer.timeZone);
      return { ...answer, records: answer.records.map((record) => ({ ...recordJson(record, zone) })) };
    },
    lines: ({ query }, parameters) => recordLines(query, optionsOf(parameters)),
  }),
];

/**
 * Returns the status as the API shows it: its date as text, and without paths of the server's disk. A public handler
 * names no host or database either, and of an error only the code.
 */
export function shown({ status: statusOf, isPublic }: Pick<HandlerSource, 'status' | 'isPublic'>) {
  const status = statusOf();
  if (status === null) return null;
  const { directory: _, ...journal } = status.journal;
  // A process has no time zone, unlike a site: UTC.
  const lastError = status.lastError && {
    ...status.lastError,
    date: calendar('UTC').format(status.lastError.date),
  };
  if (!isPublic) return { ...status, journal, lastError };
  const { storages } = status;
  return {
    ...status,
    journal,
    storages: storages.map((one) => ({
      ...one,
      storage: /^[a-z]+(?=:|$)/.exec(one.storage)?.[0] ?? 'storage',
      error: one.error && codeAlone(one.error),
    })),
    lastError: lastError && { ...codeAlone(lastError), date: lastError.date },
  };
}

function codeAlone({ code }: { code: string | null }) {
  return { code, message: code ?? 'unknown' };
}

function seriesOptions(parameters: Of<typeof schemas.seriesParameters>) {
  const { key = parameters.summary === undefined ? undefined : null, ...rest } = parameters;
  return { ...optionsOf(rest), ...(key !== undefined && { key }) };
}

function topOptions(parameters: Of<typeof schemas.topParameters>) {
  return optionsOf(parameters);
}

/** Converts parameters to query options: without `format`, with the filter by summary, and with one comparison. */
function optionsOf<P extends Common & { format?: unknown }>(parameters: P) {
  const { filter, format: _, compare, compareFrom, compareTo, ...rest } = parameters;
  const comparison = comparisonOf({ compare, compareFrom, compareTo });
  return defined({ ...rest, filter: filter && filterOf(filter), compare: comparison });
}

function comparisonOf({ compare, compareFrom, compareTo }: Compared): Comparison | undefined {
  if (compareFrom === undefined) {
    if (compareTo !== undefined) throw invalid('compareTo', compareTo, 'compareFrom as well');
    return compare === 'true' || compare === 'false' ? compare === 'true' : compare;
  }
  if (compare !== undefined) throw invalid('compare', compare, 'either compare or compareFrom and compareTo');
  return { from: compareFrom, ...(compareTo !== undefined && { to: compareTo }) };
}

function filterOf(given: readonly string[]): Filter {
  const filter: Record<string, string | null> = {};
  for (const text of given) {
    const colon = text.indexOf(':');
    const summary = colon < 0 ? text : text.slice(0, colon);
    // A request has one key per summary.
    if (Object.hasOwn(filter, summary)) throw invalid('filter', text, `one key of ${summary}`);
    filter[summary] = colon < 0 ? null : text.slice(colon + 1);
  }
  return filter;
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Returns an object without its undefined values. */
function defined<T extends object>(given: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<
    Defined<T>
  >;
}

/** Returns the endpoint of a path after the handler's own, and the value of `{summary}`. */
export function findEndpoint(path: string): { endpoint: Endpoint; summary: string } | undefined {
  if (!path.startsWith('/api/v1/')) return undefined;
  const own = path.slice('/api/v1'.length);
  const [, summary] = /^\/summaries\/([\w-]+)$/.exec(own) ?? [];
  const pattern = summary === undefined ? own : '/summaries/{summary}';
  const endpoint = ENDPOINTS.find((candidate) => candidate.path === pattern);
  return endpoint && { endpoint, summary: summary ?? '' };
}

/** Parameters that may be repeated. */
const LISTS = ['filter', 'query'];

/** Parses the parameters of a query by its schema. */
export function readParameters<P extends v.GenericSchema>(
  { parameters }: { parameters: P },
  given: URLSearchParams,
) {
  const values: Record<string, string | string[]> = Object.create(null);
  for (const name of new Set(given.keys())) {
    const all = given.getAll(name);
    values[name] = LISTS.includes(name) ? all : all.length === 1 ? all[0]! : all;
  }
  return v.safeParse(parameters, { ...values });
}

/** Returns the reasons why parameters are invalid. */
export function reasonsOf(issues: readonly v.GenericIssue[]): string {
  return issues
    .map((issue) => `${v.getDotPath(issue) ?? 'parameters'}: ${issue.message}`)
    .join('; ')
    .slice(0, 1_000);
}
