import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { etag } from 'etag';
import fresh from 'fresh';
import type { z } from 'zod';
import { type Access, authorityOf } from './access.ts';
import { ENDPOINTS, type Endpoint, type HandlerSource } from './api.ts';
import { csvOf, type Lines, ndjsonOf } from './export.ts';
import { readFiles, sendFile } from './files.ts';
import { readForm } from './form.ts';
import { Gate, gated } from './gate.ts';
import { protect } from './headers.ts';
import { LiveStreams } from './live.ts';
import { openApi } from './openapi.ts';
import type { HandlerSettings } from './options.ts';
import { type Problem, problemOf, Refusal, sendProblem } from './problem.ts';

const OPEN_METRICS = 'application/openmetrics-text';

/** Answers what is asked below the handler's path. */
export class Responder {
  readonly #source: HandlerSource;
  readonly #access: Access;
  readonly #settings: HandlerSettings;
  readonly #live: LiveStreams;
  readonly #files = readFiles(dashboard());
  #downloads = 0;

  constructor(source: HandlerSource, access: Access, settings: HandlerSettings) {
    const gate = new Gate(settings.maxQuestions, settings.timeout);
    this.#source = { ...source, query: gated(source.query, gate), isPublic: settings.public };
    this.#access = access;
    this.#settings = settings;
    this.#live = new LiveStreams(this.#source, settings.maxStreams);
    // Told when a file is asked for.
    this.#files.catch(() => {});
  }

  /**
   * @param url What is asked for, from the handler's path on: `/api/v1/site?…`; empty for the path itself.
   * @param body What the framework has read of the body already.
   */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    body?: unknown,
  ): Promise<void> {
    protect(response);
    const refusal = this.#access.refusal(request);
    if (refusal) return sendProblem(response, refusal);
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    const parameters = new URLSearchParams(query < 0 ? '' : url.slice(query));
    if (path === '/login') return this.#login(request, response, body);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return sendProblem(response, {
        ...problem(405, 'Only GET is understood here', `${request.method} is not.`, 'METHOD_UNKNOWN'),
        headers: { allow: 'GET, HEAD' },
      });
    }
    // Relative links need the slash.
    if (path === '') return redirect(response, `${this.#settings.path}/${url.slice(path.length)}`);
    // A program that only looks where a link leads must not use it up.
    const token = path === '/' && request.method === 'GET' ? parameters.get('token') : null;
    if (token !== null) {
      parameters.delete('token');
      return this.#enter(request, response, token, parameters);
    }
    if (!path.startsWith('/api/') && path !== '/metrics') return this.#file(request, response, path);
    const allowed = await this.#access.allows(request);
    if (allowed !== true) return sendProblem(response, allowed || this.#unknown());
    if (path === '/metrics') return this.#metrics(request, response);
    await this.#api(request, response, path, parameters);
  }

  async #api(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    parameters: URLSearchParams,
  ): Promise<void> {
    if (path === '/api/v1/openapi.json') {
      return sendJson(request, response, openApi(this.#source.version, this.#settings.path));
    }
    if (path === '/api/v1/live') {
      if (this.#live.isFull) {
        return sendProblem(response, {
          ...problem(
            503,
            'Too many event streams',
            'Close a dashboard, or raise maxStreams.',
            'STREAMS_FULL',
          ),
          headers: { 'retry-after': '30' },
        });
      }
      return this.#live.begin(request, response);
    }
    const found = findEndpoint(path);
    if (!found)
      return sendProblem(
        response,
        problem(404, 'There is no such thing', 'See api/v1/openapi.json.', 'PATH_UNKNOWN'),
      );
    const { endpoint, summary } = found;
    const given = readParameters(endpoint, parameters);
    if (!given.success)
      return sendProblem(
        response,
        problem(400, 'The request is not understood', reasonsOf(given.error), 'QUERY_INVALID'),
      );
    const { format = 'json', site } = given.data as { format?: string; site?: string };
    if (this.#settings.public && site !== undefined && site !== this.#source.site) {
      return sendProblem(
        response,
        problem(403, 'This dashboard is open for its own site alone', 'Leave out site.', 'SITE_REFUSED'),
      );
    }
    try {
      if (format !== 'json' && endpoint.lines) {
        await this.#download(
          request,
          response,
          endpoint.lines(this.#source, given.data as never, summary),
          format,
        );
      } else {
        sendJson(request, response, await endpoint.ask(this.#source, given.data as never, summary));
      }
    } catch (error) {
      sendProblem(response, problemOf(error));
    }
  }

  async #download(
    request: IncomingMessage,
    response: ServerResponse,
    lines: Lines,
    format: string,
  ): Promise<void> {
    const { maxDownloads, timeout } = this.#settings;
    if (this.#downloads >= maxDownloads) {
      throw new Refusal({
        ...problem(503, 'Too many downloads', 'Try again when one has ended.', 'DOWNLOADS_FULL'),
        headers: { 'retry-after': '30' },
      });
    }
    this.#downloads += 1;
    try {
      await sendLines(request, response, lines, format, timeout);
    } finally {
      this.#downloads -= 1;
    }
  }

  async #metrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics } = this.#source;
    if (!metrics) {
      return sendProblem(
        response,
        problem(404, 'There are no metrics without an app', 'Ask the handler of the app.', 'METRICS_MISSING'),
      );
    }
    const openMetrics = (request.headers.accept ?? '').includes(OPEN_METRICS);
    if (this.#settings.public) {
      // They name the storages.
      return sendProblem(
        response,
        problem(
          403,
          'Metrics are not for everybody',
          'Give the handler a token, or another one.',
          'METRICS_PRIVATE',
        ),
      );
    }
    const text = await metrics({ openMetrics });
    response.writeHead(200, {
      'content-type': openMetrics
        ? `${OPEN_METRICS}; version=1.0.0; charset=utf-8`
        : 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  async #login(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    if (request.method !== 'POST') {
      return sendProblem(response, {
        ...problem(405, 'Only POST is understood here', `${request.method} is not.`, 'METHOD_UNKNOWN'),
        headers: { allow: 'POST' },
      });
    }
    if (!isOwn(request)) {
      return sendProblem(
        response,
        problem(403, 'Sign in from the dashboard', 'This is not its form.', 'ACCESS_ORIGIN'),
      );
    }
    let form: URLSearchParams;
    try {
      form = await readForm(request, body, this.#settings.timeout);
    } catch (error) {
      return sendProblem(response, problemOf(error));
    }
    const cookie = this.#access.signIn(request, form.get('token') ?? '');
    this.#letIn(response, cookie, `${this.#settings.path}/`);
  }

  /** A link is exchanged for a cookie at once, so that its token stays in no history and no Referer. */
  #enter(request: IncomingMessage, response: ServerResponse, token: string, rest: URLSearchParams): void {
    const search = rest.size > 0 ? `?${rest}` : '';
    this.#letIn(response, this.#access.enter(request, token), `${this.#settings.path}/${search}`);
  }

  #letIn(response: ServerResponse, cookie: string | Problem | undefined, location: string): void {
    if (typeof cookie === 'object') {
      sendProblem(response, cookie);
      return;
    }
    if (cookie !== undefined) response.appendHeader('set-cookie', cookie);
    redirect(response, location);
  }

  /** The files of the dashboard hold no numbers: whoever may ask at all may have them. */
  async #file(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (sendFile(request, response, await this.#files, path)) return;
    sendProblem(
      response,
      problem(404, 'There is no such thing', 'The dashboard has no such file.', 'PATH_UNKNOWN'),
    );
  }

  #unknown(): Problem {
    const how = this.#access.isLocal
      ? 'Open the link that the app printed where it runs; it works once.'
      : this.#access.hasSignIn
        ? 'Sign in with the token.'
        : 'The app decides who may look.';
    return {
      ...problem(
        401,
        'This dashboard is not for everybody',
        how,
        this.#access.hasSignIn ? 'AUTH_REQUIRED' : 'AUTH_REFUSED',
      ),
      headers: { 'www-authenticate': 'Bearer realm="track-usage"' },
    };
  }
}

function findEndpoint(path: string): { endpoint: Endpoint; summary: string } | undefined {
  if (!path.startsWith('/api/v1/')) return undefined;
  const own = path.slice('/api/v1'.length);
  const [, summary] = /^\/summaries\/([a-z][a-z0-9-]*)$/.exec(own) ?? [];
  const pattern = summary === undefined ? own : '/summaries/{summary}';
  const endpoint = ENDPOINTS.find((candidate) => candidate.path === pattern);
  return endpoint && { endpoint, summary: summary ?? '' };
}

function readParameters({ parameters }: Endpoint, given: URLSearchParams) {
  const values: Record<string, string | string[]> = Object.create(null);
  for (const name of new Set(given.keys())) {
    const all = given.getAll(name);
    values[name] = name === 'filter' ? all : all.length === 1 ? all[0]! : all;
  }
  return parameters.safeParse({ ...values });
}

function reasonsOf({ issues }: z.ZodError): string {
  return issues
    .map(({ path, message }) => `${path.join('.') || 'parameters'}: ${message}`)
    .join('; ')
    .slice(0, 1_000);
}

function sendJson(request: IncomingMessage, response: ServerResponse, answer: unknown): void {
  const body = JSON.stringify(answer);
  const tag = etag(body);
  response.setHeader('etag', tag);
  response.setHeader('cache-control', 'private, no-cache');
  if (fresh(request.headers, { etag: tag })) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function sendLines(
  request: IncomingMessage,
  response: ServerResponse,
  lines: Lines,
  format: string,
  timeout: number,
): Promise<void> {
  const pieces = format === 'csv' ? csvOf(lines) : ndjsonOf(lines);
  // What is wrong shows at the first piece, while there can still be another answer.
  const first = await pieces.next();
  response.writeHead(200, {
    'content-type':
      format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson; charset=utf-8',
    'content-disposition': `attachment; filename="${lines.name}.${format}"`,
    'cache-control': 'no-store',
  });
  if (request.method === 'HEAD') {
    response.end();
    await pieces.return(undefined);
    return;
  }
  async function* all() {
    for (let piece = first; !piece.done; piece = await pieces.next()) {
      // Who does not read on keeps its place no longer than that.
      const stalled = setTimeout(() => response.destroy(), timeout);
      stalled.unref();
      try {
        yield piece.value;
      } finally {
        clearTimeout(stalled);
      }
    }
  }
  // A client that leaves, or a storage that fails in the middle, ends the download: it is not taken for a whole one.
  await pipeline(all(), response).catch(() => response.destroy());
  await pieces.return(undefined).catch(() => {});
}

/** Whether a form was sent by a page of ours: no other site's page signs somebody in. */
function isOwn(request: IncomingMessage): boolean {
  const { headers } = request;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  if (headers.origin === undefined) return true;
  const host = URL.parse(headers.origin)?.host ?? '';
  return host !== '' && host === authorityOf(request);
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { location, 'cache-control': 'no-store', 'content-length': 0 }).end();
}

function problem(status: number, title: string, detail: string, code: string): Problem {
  return { status, title, detail, code };
}

/** Where the dashboard's files are; in a bundle they are not. */
function dashboard(): string {
  // Bundlers would look for the folder if this were one expression.
  const here = import.meta.url;
  return fileURLToPath(new URL('../dashboard', here));
}
