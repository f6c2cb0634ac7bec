/** The request headers that a record is made of; `''` where one was not sent. */
export interface HeaderFacts {
  host: string;
  agent: string;
  acceptLanguage: string;
  referrer: string;
  forwardedFor: string;
  forwardedProto: string;
  forwardedHost: string;
  /** RFC 7239. */
  forwarded: string;
  authorization: string;
  cookie: string;
}

/**
 * Reads them from the raw list: `request.headers` is made at its first use, which costs more than all the rest
 * here. Of a header that stands several times the first counts, but lists and cookies are joined (as Node does).
 */
export function readHeaders(raw: readonly string[]): HeaderFacts {
  let host = '';
  let agent = '';
  let acceptLanguage = '';
  let referrer = '';
  let forwardedFor = '';
  let forwardedProto = '';
  let forwardedHost = '';
  let forwarded = '';
  let authorization = '';
  let cookie = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    // Most names are ruled out by their length alone.
    switch (name.length) {
      case 4:
        if (host === '' && is(name, 'Host', 'host')) host = raw[i + 1]!;
        break;
      case 6:
        if (is(name, 'Cookie', 'cookie')) cookie = join(cookie, raw[i + 1]!, '; ');
        break;
      case 7:
        if (referrer === '' && is(name, 'Referer', 'referer')) referrer = raw[i + 1]!;
        break;
      case 9:
        if (is(name, 'Forwarded', 'forwarded')) forwarded = join(forwarded, raw[i + 1]!, ', ');
        break;
      case 10:
        if (is(name, 'User-Agent', 'user-agent')) {
          if (agent === '') agent = raw[i + 1]!;
        } else if (is(name, ':authority', ':authority')) host = raw[i + 1]!;
        break;
      case 13:
        if (authorization === '' && is(name, 'Authorization', 'authorization')) {
          authorization = raw[i + 1]!;
        }
        break;
      case 15:
        if (is(name, 'Accept-Language', 'accept-language')) {
          acceptLanguage = join(acceptLanguage, raw[i + 1]!, ', ');
        } else if (is(name, 'X-Forwarded-For', 'x-forwarded-for')) {
          forwardedFor = join(forwardedFor, raw[i + 1]!, ', ');
        }
        break;
      case 16:
        if (forwardedHost === '' && is(name, 'X-Forwarded-Host', 'x-forwarded-host')) {
          forwardedHost = raw[i + 1]!;
        }
        break;
      case 17:
        if (forwardedProto === '' && is(name, 'X-Forwarded-Proto', 'x-forwarded-proto')) {
          forwardedProto = raw[i + 1]!;
        }
        break;
    }
  }
  return {
    host,
    agent,
    acceptLanguage,
    referrer,
    forwardedFor,
    forwardedProto,
    forwardedHost,
    forwarded,
    authorization,
    cookie,
  };
}

/**
 * Names of the same length differ in their last letter (`Accept-Encoding`, `Accept-Language`; `Accept`, `Cookie`),
 * so that few texts are compared, which is what costs here.
 */
function is(name: string, usual: string, lower: string): boolean {
  const last = name.length - 1;
  if ((name.charCodeAt(last) | 32) !== lower.charCodeAt(last)) return false;
  return name === usual || name === lower || name.toLowerCase() === lower;
}

function join(before: string, value: string, separator: string): string {
  return before === '' ? value : before + separator + value;
}
