import type { ServerResponse } from 'node:http';
import { type ErrorCode, TrackUsageError } from '../errors.ts';

/** Statuses of errors that a query can cause. All others are internal: 500. */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  QUERY_INVALID: 400,
  SUMMARY_UNKNOWN: 404,
  TIME_ZONE_UNKNOWN: 400,
  QUERY_TOO_LARGE: 422,
};

/** Error response of RFC 9457. `code` is an error code, if there is one. */
export interface Problem {
  status: number;
  title: string;
  detail: string;
  code: string;
  headers?: Record<string, string>;
  /** Closes the connection, because the rest of the request is not read. */
  ends?: boolean;
}

/** Thrown to refuse a request. */
export class Refusal extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** Refuses a request: see `Refusal`. */
export function refuse(
  status: number,
  title: string,
  detail: string,
  code: string,
  headers?: Record<string, string>,
): never {
  throw new Refusal({ status, title, detail, code, ...(headers && { headers }) });
}

/**
 * Converts an error to a problem without internal information: no stack, no database messages, no locations.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof Refusal) return error.problem;
  const status = error instanceof TrackUsageError ? STATUSES[error.code] : undefined;
  if (error instanceof TrackUsageError && status !== undefined) {
    return { status, title: TITLES[status]!, detail: error.message, code: error.code };
  }
  return {
    status: 503,
    title: TITLES[503]!,
    detail:
      'The storage did not respond to this query. The app that writes to it reports the reason through onError and status().',
    code: 'STORAGE_SILENT',
  };
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Invalid request',
  404: 'Not found',
  422: 'The response would be too large',
  503: 'The storage is not available',
};

/** Returns the problem details (RFC 9457). */
export function problemBody({ title, status, detail, code }: Problem) {
  return { type: 'about:blank', title, status, detail, code };
}

export function sendProblem(
  response: ServerResponse,
  { status, title, detail, code, headers, ends }: Problem,
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = JSON.stringify(problemBody({ title, status, detail, code }));
  response.writeHead(status, {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
    ...headers,
    ...(ends && response.req.httpVersionMajor < 2 && { connection: 'close' }),
  });
  // Node's HTTP/2 does not accept a body here.
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
