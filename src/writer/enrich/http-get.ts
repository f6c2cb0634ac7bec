import { lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { clearTimeout, monotonicClock, setTimeout } from '../../platform/clock.ts';

/** Limits of a GET request. */
export interface GetLimits {
  /** Total time, including redirects. In ms. */
  timeout: number;
  /** Maximum size of the body, in bytes. */
  maxBytes: number;
}

export interface HttpResponse {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

const MAX_REDIRECTS = 3;

/** Agents with keep-alive. Idle connections keep neither the thread nor the process running. */
const agents = {
  http: new http.Agent({ keepAlive: true }),
  https: new https.Agent({ keepAlive: true }),
};

/**
 * Sends a GET request and returns the response. Follows redirects only on the same host and never from https
 * to http, so that no other host sees the request. Rejects with a reason to show.
 *
 * Not implemented with `fetch`, because eight concurrent requests would start eight DNS lookups. Each lookup
 * occupies a thread of the pool that the app uses, and Node has no option to share them.
 */
export async function get(url: URL, { timeout, maxBytes }: GetLimits): Promise<HttpResponse> {
  const end = monotonicClock.now() + timeout;
  let from = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const limits = { timeout: end - monotonicClock.now(), maxBytes };
    const answer = await getOnce(from, limits).catch((error: Error & { reused?: boolean }) => {
      // The server closed a kept-alive connection just as it was reused.
      if (error.reused) return getOnce(from, { ...limits, timeout: end - monotonicClock.now() });
      throw error;
    });
    const { location } = answer.headers;
    if (answer.status < 300 || answer.status > 399 || location === undefined) return answer;
    const to = URL.parse(location, from.href);
    if (!to || !mayFollow(from, to)) throw new Error(`it redirects to ${to?.origin ?? 'no URL'}`);
    from = to;
  }
  throw new Error(`it redirects more than ${MAX_REDIRECTS} times`);
}

function mayFollow(from: URL, to: URL): boolean {
  return to.origin === from.origin || (to.protocol === 'https:' && to.hostname === from.hostname);
}

function getOnce(url: URL, { timeout, maxBytes }: GetLimits): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const options = {
      agent: secure ? agents.https : agents.http,
      lookup: sharedLookup,
      headers: { accept: 'application/json', 'user-agent': 'track-usage' },
    };
    const request = secure ? https.get(url, options) : http.get(url, options);
    const fail = (error: Error & { code?: string; reused?: boolean }) => {
      error.reused = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      reject(error);
      request.destroy();
    };
    const timer = setTimeout(() => fail(new Error('it did not respond in time')), Math.max(0, timeout));
    request.on('error', fail);
    request.on('close', () => {
      clearTimeout(timer);
      reject(new Error('it closed the connection'));
    });
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > maxBytes) fail(new Error(`its response is longer than ${maxBytes} bytes`));
      });
      response.on('error', () => fail(new Error('it closed the connection')));
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
  });
}

const lookups = new Map<string, Parameters<LookupFunction>[2][]>();

/**
 * Shares one `dns.lookup` per host name among all requests. Each occupies a thread of the process's pool,
 * which the app's own lookups need, until the resolver gives up.
 */
const sharedLookup: LookupFunction = (hostname, options, callback) => {
  const key = JSON.stringify([hostname, options]);
  const waiting = lookups.get(key);
  if (waiting) {
    waiting.push(callback);
    return;
  }
  const callbacks = [callback];
  lookups.set(key, callbacks);
  lookup(hostname, options, (error, address, family) => {
    lookups.delete(key);
    for (const answer of callbacks) answer(error, address, family);
  });
};
