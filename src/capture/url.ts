import { withoutMapping } from './address.ts';
import type { Exchange } from './exchange.ts';

/** A host, with its port, as it may stand in a URL: a name, or an address in brackets; no user, and no more. */
const HOST = /^(?:[^\0- "#%/:<>?@[\\\]^`{|}\x7f]+|\[[\da-f:.]+\])(?::\d{0,5})?$/i;
const SLASH = 47;

export function isHost(text: string): boolean {
  return HOST.test(text);
}

/** Makes the URLs of requests, without secrets. Each reads back as the host and the path that were asked for. */
export class UrlMaker {
  readonly #redact: (url: string) => string;
  /** What was asked last, and nearly always is asked next. */
  #scheme = '';
  #host = '';
  #origin = '';
  /** The server's own address and port, as it was seen last: a connection that is closed has forgotten it. */
  #ownHost = 'localhost';

  constructor(redact: (url: string) => string) {
    this.#redact = redact;
  }

  /**
   * @param host If it is missing or invalid, the URL has the server's own address (RFC 9112 §3.3).
   * @param target The request target, as sent.
   */
  make(scheme: string, host: string, target: string, exchange: Exchange): string {
    if (target.charCodeAt(0) === SLASH) {
      // The target alone is in one piece already.
      return this.#originOf(scheme, host, exchange) + this.#redact(target);
    }
    // CONNECT alone names an authority and no more (RFC 9112 §3.2.3).
    const url = exchange.request.method === 'CONNECT' ? scheme + target : target;
    const [, authority = ''] = /^[a-z][a-z\d+.-]*:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(url) ?? [];
    if (HOST.test(authority) && URL.canParse(url)) return this.#redact(url);
    // `*`, of OPTIONS, or what an app made of the target.
    return this.#originOf(scheme, host, exchange) + this.#redact(`/${target}`);
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

/** The server's own address and port; `undefined` if the connection has none, such as on a Unix socket. */
function ownHostOf({ connection }: Exchange): string | undefined {
  const { localAddress = '', localPort } = connection?.socket ?? {};
  const address = withoutMapping(localAddress);
  if (address === '') return undefined;
  return `${address.includes(':') ? `[${address.replace(/%.*/, '')}]` : address}:${localPort}`;
}
