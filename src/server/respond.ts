import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { METRICS_CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE } from '../metrics/exposition.ts';
import { type Access, authorityOf } from './access.ts';
import { type EndpointSource, findEndpoint, type HandlerSource, readParameters, reasonsOf } from './api.ts';
import { type BatchQuery, readBatch, sendBatch } from './batch.ts';
import type { Lines } from './export.ts';
import { readFiles, sendFile } from './files.ts';
import { readForm } from './form.ts';
import { Gate, gated } from './gate.ts';
import { protect } from './headers.ts';
import { LiveStreams } from './live.ts';
import { openApi } from './openapi.ts';
import type { HandlerSettings } from './options.ts';
import { type Problem, problemOf, Refusal, refuse, sendProblem } from './problem.ts';
import { redirect, sendJson, sendLines } from './send.ts';
import { Verifications } from './verification.ts';

/** Media type in the Accept header of OpenMetrics clients. */
const OPEN_METRICS = 'application/openmetrics-text';
/** Retry interval for temporary errors. */
const LATER = { 'retry-after': '30' };

/** Handles requests below the handler's path. */
export class Responder {
  readonly #source: EndpointSource;
  readonly #access: Access;
  readonly #settings: HandlerSettings;
  readonly #live: LiveStreams;
  readonly #files = readFiles(dashboard());
  #downloads = 0;

  constructor(source: HandlerSource, access: Access, settings: HandlerSettings) {
    const gate = new Gate(settings.maxQueries, settings.timeout);
    const { verify, ...rest } = source;
    const query = gated(source.query, gate);
    const verifications =
      verify && !settings.public ? new Verifications(query, verify, settings.timeout) : undefined;
    this.#source = { ...rest, query, verifications, isPublic: settings.public };
    this.#access = access;
    this.#settings = settings;
    this.#live = new LiveStreams(this.#source, settings.maxStreams);
    // The error is reported when a file is requested.
    this.#files.catch(() => {});
  }

  /**
   * Handles a request.
   * @param url URL after the handler's path, for example `/api/v1/site?…`, or empty for the path itself.
   * @param body Body, if the framework has already parsed it.
   */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    body?: unknown,
  ): Promise<void> {
    protect(response);
    try {
      await this.#answer(request, response, url, body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sendProblem(response, error.problem);
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    body?: unknown,
  ): Promise<void> {
    const refusal = this.#access.refusal(request);
    if (refusal) throw new Refusal(refusal);
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    const parameters = new URLSearchParams(query < 0 ? '' : url.slice(query));
    if (path === '/login') return this.#login(request, response, body);
    if (request.method !== 'GET' && request.method !== 'HEAD') refuseMethod(request, 'GET', 'GET, HEAD');
    // Relative links need the slash.
    if (path === '') return redirect(response, `${this.#settings.path}/${url}`);
    // A program that only resolves a link must not use it up.
    const token = path === '/' && request.method === 'GET' ? parameters.get('token') : null;
    if (token !== null) {
      parameters.delete('token');
      return this.#enter(request, response, token, parameters);
    }
    if (!path.startsWith('/api/') && path !== '/metrics') return this.#file(request, response, path);
    const allowed = await this.#access.allows(request);
    if (allowed !== true) throw new Refusal(allowed || this.#unauthenticated());
    if (path === '/metrics') {
      refuseParameters(parameters);
      this.#metrics(request, response);
      return;
    }
    await this.#api(request, response, path, parameters);
  }

  async #api(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    parameters: URLSearchParams,
  ): Promise<void> {
    if (path === '/api/v1/openapi.json') {
      refuseParameters(parameters);
      return sendJson(request, response, openApi(this.#source.version, this.#settings.path));
    }
    if (path === '/api/v1/live') {
      refuseParameters(parameters);
      if (this.#live.isFull) {
        const how = 'Close a dashboard, or raise maxStreams.';
        refuse(503, 'Too many event streams', how, 'STREAMS_FULL', LATER);
      }
      return this.#live.begin(request, response);
    }
    if (path === '/api/v1/batch') return this.#batch(request, response, parameters);
    const { endpoint, summary, given } = this.#read(path, parameters);
    const { format = 'json' } = given;
    try {
      if (format !== 'json' && endpoint.lines) {
        const lines = endpoint.lines(this.#source, given as never, summary);
        await this.#download(request, response, lines, format);
      } else {
        sendJson(request, response, await endpoint.query(this.#source, given as never, summary));
      }
    } catch (error) {
      // The headers of an interrupted download have been sent, so no other response is possible.
      if (response.headersSent) throw error;
      sendProblem(response, problemOf(error));
    }
  }

  /** Returns the endpoint of a path, and its parsed parameters. */
  #read(path: string, parameters: URLSearchParams) {
    const found = findEndpoint(path);
    if (!found) return refuse(404, 'Not found', 'See api/v1/openapi.json.', 'PATH_UNKNOWN');
    const read = readParameters(found.endpoint, parameters);
    if (!read.success) return refuse(400, 'Invalid request', reasonsOf(read.issues), 'QUERY_INVALID');
    const given = read.output as { format?: string; site?: string };
    const { site } = given;
    if (this.#settings.public && site !== undefined && site !== this.#source.site) {
      refuse(403, 'This dashboard is limited to its own site', 'Remove the parameter site.', 'SITE_REFUSED');
    }
    return { ...found, given };
  }

  /** Sends the responses of several queries, each as soon as it is there. */
  async #batch(request: IncomingMessage, response: ServerResponse, parameters: URLSearchParams) {
    const queries = readBatch(parameters);
    const answer = async (query: BatchQuery) => {
      const { endpoint, summary, given } = this.#read(query.path, query.parameters);
      return endpoint.query(this.#source, given as never, summary);
    };
    await sendBatch(request, response, queries, answer);
  }

  async #download(
    request: IncomingMessage,
    response: ServerResponse,
    lines: Lines,
    format: string,
  ): Promise<void> {
    const { maxDownloads, timeout } = this.#settings;
    if (this.#downloads >= maxDownloads) {
      refuse(503, 'Too many downloads', 'Try again when a download has finished.', 'DOWNLOADS_FULL', LATER);
    }
    this.#downloads += 1;
    try {
      await sendLines(request, response, lines, format, timeout);
    } finally {
      this.#downloads -= 1;
    }
  }

  #metrics(request: IncomingMessage, response: ServerResponse): void {
    const { metrics } = this.#source;
    if (!metrics) {
      const how = 'Request them from the handler of the app.';
      refuse(404, 'Metrics require an app', how, 'METRICS_MISSING');
    }
    if (this.#settings.public) {
      // Metrics contain the storages' names.
      const how = 'Pass token instead of public: true, or create another handler with a token.';
      refuse(403, 'Metrics are not public', how, 'METRICS_PRIVATE');
    }
    const openMetrics = (request.headers.accept ?? '').includes(OPEN_METRICS);
    const text = metrics({ openMetrics });
    response.writeHead(200, {
      'content-type': openMetrics ? OPENMETRICS_CONTENT_TYPE : METRICS_CONTENT_TYPE,
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  async #login(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    if (request.method !== 'POST') refuseMethod(request, 'POST', 'POST');
    if (!isOwn(request))
      refuse(403, 'Sign in from the dashboard', 'The form was sent from another site.', 'ACCESS_ORIGIN');
    let form: URLSearchParams;
    try {
      form = await readForm(request, body, this.#settings.timeout);
    } catch (error) {
      return sendProblem(response, problemOf(error));
    }
    const cookie = this.#access.signIn(request, form.get('token') ?? '');
    this.#startSession(response, cookie, `${this.#settings.path}/`);
  }

  /** Exchanges a link for a cookie, and redirects, so that its token is not kept in a history or Referer. */
  #enter(request: IncomingMessage, response: ServerResponse, token: string, rest: URLSearchParams): void {
    const cookie = this.#access.enter(request, token);
    if (typeof cookie === 'object' && (request.headers.accept ?? '').includes('text/html')) {
      // The page informs a user who followed an invalid link.
      rest.set('link', 'wrong');
      redirect(response, `${this.#settings.path}/?${rest}`);
      return;
    }
    const search = rest.size > 0 ? `?${rest}` : '';
    this.#startSession(response, cookie, `${this.#settings.path}/${search}`);
  }

  #startSession(response: ServerResponse, cookie: string | Problem | undefined, location: string): void {
    if (typeof cookie === 'object') throw new Refusal(cookie);
    if (cookie !== undefined) response.appendHeader('set-cookie', cookie);
    redirect(response, location);
  }

  /** Sends a file of the dashboard. Files contain no data, so they need no authorization. */
  async #file(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (sendFile(request, response, await this.#files, path)) return;
    refuse(404, 'Not found', 'The dashboard has no such file.', 'PATH_UNKNOWN');
  }

  #unauthenticated(): Problem {
    const how = this.#access.isLocal
      ? 'Open the one-time link that was printed.'
      : this.#access.hasSignIn
        ? 'Sign in with the token.'
        : 'The app authorizes users.';
    return {
      status: 401,
      title: 'Authentication required',
      detail: how,
      code: this.#access.hasSignIn ? 'AUTH_REQUIRED' : 'AUTH_REFUSED',
      headers: { 'www-authenticate': 'Bearer realm="track-usage"' },
    };
  }
}

function refuseMethod({ method }: IncomingMessage, wanted: string, allow: string): never {
  return refuse(405, `Method ${method} is not allowed`, `Use ${wanted}.`, 'METHOD_UNKNOWN', { allow });
}

/** Returns whether a form was sent by our page, so that no other site can sign a user in. */
function isOwn(request: IncomingMessage): boolean {
  const { headers } = request;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  if (headers.origin === undefined) return true;
  const host = URL.parse(headers.origin)?.host ?? '';
  return host !== '' && host === authorityOf(request);
}

/** Returns the directory of the dashboard's files. A bundle has none. */
function dashboard(): string {
  // Bundlers would search for the directory if this were one expression.
  const here = import.meta.url;
  return fileURLToPath(new URL('../dashboard', here));
}

/** Rejects parameters on routes that have none, just as other routes reject misspelled ones. */
function refuseParameters(parameters: URLSearchParams): void {
  const names = [...new Set(parameters.keys())];
  if (names.length === 0) return;
  const detail = `Unknown parameters: ${names.join(', ')}`.slice(0, 1_000);
  refuse(400, 'Invalid request', detail, 'QUERY_INVALID');
}
