/** Such a host holds nothing that would have to be redacted, nor ends what it stands for. */
const PLAIN_HOST = /^[\w.:[\]-]*$/;
const SLASH = 47;

/** Makes the URLs of requests, without secrets. */
export class UrlMaker {
  readonly #redact: (url: string) => string;
  /** What was asked last, and nearly always is asked next. */
  #scheme = '';
  #host = '';
  #origin = '';

  constructor(redact: (url: string) => string) {
    this.#redact = redact;
  }

  /** @param target As it stands in the request. */
  make(scheme: string, host: string, target: string): string {
    if (target.charCodeAt(0) !== SLASH) return this.#redact(absolute(scheme, host, target));
    if (host !== this.#host || scheme !== this.#scheme) {
      if (!PLAIN_HOST.test(host)) return this.#redact(scheme + host + target);
      this.#scheme = scheme;
      this.#host = host;
      this.#origin = scheme + host;
    }
    // The target alone is in one piece already.
    return this.#origin + this.#redact(target);
  }
}

/** The URL of a target that is no path: absolute, `*` (OPTIONS), or an authority (CONNECT). */
function absolute(scheme: string, host: string, target: string): string {
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(target)) return target;
  return target === '*' || target === '' ? `${scheme}${host}/${target}` : `${scheme}${target}`;
}
