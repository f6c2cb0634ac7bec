import type { IncomingMessage, ServerResponse } from 'node:http';
import { readParameters, reasonsOf } from './api.ts';
import { batchParameters } from './batch-schemas.ts';
import { problemBody, problemOf, refuse } from './problem.ts';

/** Queries that a batch may contain: those with the common parameters. */
const BATCHED = /^(?:totals|series|records|summaries\/[\w-]+)$/;

/** One query of a batch. */
export interface BatchQuery {
  /** Path of its endpoint, with `/api/v1/`. */
  path: string;
  /** Its own parameters and the common ones. */
  parameters: URLSearchParams;
}

/** Reads the queries of a batch. Throws if one of them cannot be part of a batch. */
export function readBatch(parameters: URLSearchParams): BatchQuery[] {
  const given = readParameters({ parameters: batchParameters }, parameters);
  if (!given.success) return refuse(400, 'Invalid request', reasonsOf(given.issues), 'QUERY_INVALID');
  const common = new URLSearchParams(parameters);
  common.delete('query');
  return given.output.query.map((text) => {
    const [, path = '', search = ''] = /^([^?]*)\??(.*)$/s.exec(text) ?? [];
    const own = new URLSearchParams(search);
    const detail = `query: "${text.slice(0, 100)}" is no query of a batch. Use totals, series, summaries/… or records, without format.`;
    if (!BATCHED.test(path) || own.has('format')) refuse(400, 'Invalid request', detail, 'QUERY_INVALID');
    for (const [name, value] of common) own.append(name, value);
    return { path: `/api/v1/${path}`, parameters: own };
  });
}

/**
 * Sends a line of JSON for each query, in the order in which their results arrive. An error is the result of its query
 * alone.
 */
export async function sendBatch(
  request: IncomingMessage,
  response: ServerResponse,
  queries: readonly BatchQuery[],
  answer: (query: BatchQuery) => Promise<unknown>,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'application/x-ndjson; charset=utf-8',
    'cache-control': 'no-store',
    // A proxy that buffers the response would hold back the first results.
    'x-accel-buffering': 'no',
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const send = async (query: BatchQuery, index: number) => {
    let line: { index: number; status: number; body: unknown };
    try {
      line = { index, status: 200, body: await answer(query) };
    } catch (error) {
      const problem = problemOf(error);
      line = { index, status: problem.status, body: problemBody(problem) };
    }
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`);
  };
  await Promise.all(queries.map(send));
  response.end();
}
