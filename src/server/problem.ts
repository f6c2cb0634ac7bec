import type { ServerResponse } from 'node:http';
import { type ErrorCode, TrackUsageError } from '../errors.ts';

/** The statuses of what a question can be answered with instead of an answer; everything else is ours: 500. */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  QUERY_INVALID: 400,
  SUMMARY_UNKNOWN: 404,
  TIME_ZONE_UNKNOWN: 400,
  FILTER_UNSUPPORTED: 422,
  STORAGE_NOT_FOUND: 503,
  STORAGE_OFFLINE: 503,
};

/** An answer of RFC 9457. `code` is that of the table of errors, where it is one of it. */
export interface Problem {
  status: number;
  title: string;
  detail: string;
  code: string;
  headers?: Record<string, string>;
}

/** What went wrong, without what is nobody's business: neither a stack nor the words of a database. */
export function problemOf(error: unknown): Problem {
  const status = error instanceof TrackUsageError ? STATUSES[error.code] : undefined;
  if (error instanceof TrackUsageError && status !== undefined) {
    return { status, title: TITLES[status]!, detail: error.message, code: error.code };
  }
  return {
    status: 503,
    title: TITLES[503]!,
    detail:
      'The storage did not answer this question; the app that writes to it says why, by onError and status().',
    code: 'STORAGE_SILENT',
  };
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is not understood',
  404: 'There is no such thing',
  422: 'The storage cannot do that',
  503: 'The storage does not answer',
};

export function sendProblem(
  response: ServerResponse,
  { status, title, detail, code, headers }: Problem,
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = JSON.stringify({ type: 'about:blank', title, status, detail, code });
  response.writeHead(status, {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
