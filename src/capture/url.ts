import { withoutMapping } from './address.ts';
import type { Exchange } from './exchange.ts';

/** Pattern of a host and port in a URL: a name, or an address in brackets, without a user. */
const HOST = /^(?:[^\0- "#%/:<>?@[\\\]^`{|}\x7f]+|\[[\da-f:.]+\])(?::\d{0,5})?$/i;
const SLASH = 47;

export function isHost(text: string): boolean {
  return HOST.test(text);
}

/** Creates the URLs of requests, without secrets. Parsing one returns the requested host and path. */
export class UrlMaker {
  readonly #clean: (url: string) => string;
  /** Arguments and result of the last call, which usually repeats. */
  #scheme = '';
  #host = '';
  #origin = '';
  /** Last known address and port of the server, because a closed connection no longer has them. */
  #ownHost = 'localhost';

  /** @param clean Removes what must not be stored. */
  constructor(clean: (url: string) => string) {
    this.#clean = clean;
  }

  /**
   * Returns the URL of a request.
   * @param host Requested host. If it is missing or invalid, the URL has the server's own address (RFC 9112
   * §3.3).
   * @param target Request target, as sent.
   */
  make(scheme: string, host: string, target: string, exchange: Exchange): string {
    if (target.charCodeAt(0) === SLASH) {
      // The target is already a flat string, unlike a concatenation.
      return this.#originOf(scheme, host, exchange) + this.#clean(target);
    }
    // Only CONNECT has an authority and nothing else (RFC 9112 §3.2.3).
    const url = exchange.request.method === 'CONNECT' ? scheme + target : target;
    const [, authority = ''] = /^[a-z][a-z\d+.-]*:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(url) ?? [];
    if (HOST.test(authority) && URL.canParse(url)) return this.#clean(url);
    // `*` (in OPTIONS), or a target changed by the app.
    return this.#originOf(scheme, host, exchange) + this.#clean(`/${target}`);
  }

  #originOf(scheme: string, host: string, exchange: Exchange): string {
    if (host !== this.#host || scheme !== this.#scheme) {
      if (!HOST.test(host) || !URL.canParse(scheme + host)) {
        this.#ownHost = ownHostOf(exchange) ?? this.#ownHost;
        return scheme + this.#ownHost;
      }
      this.#scheme = scheme;
      this.#host = host;
      this.#origin = scheme + host;
    }
    return this.#origin;
  }
}

/**
 * Returns the server's own address and port, or `undefined` if the connection has none, for example on a Unix
 * socket.
 */
function ownHostOf({ connection }: Exchange): string | undefined {
  const { localAddress = '', localPort } = connection?.socket ?? {};
  const address = withoutMapping(localAddress);
  if (address === '') return undefined;
  return `${address.includes(':') ? `[${address.replace(/%.*/, '')}]` : address}:${localPort}`;
}
