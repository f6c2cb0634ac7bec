/** Request headers used in a record; `''` if a header was not sent. */
export interface HeaderFields {
  host: string;
  contentLength: string;
  transferEncoding: string;
  agent: string;
  acceptLanguage: string;
  referrer: string;
  forwardedFor: string;
  forwardedProto: string;
  forwardedHost: string;
  /** Header of RFC 7239. */
  forwarded: string;
  authorization: string;
  cookie: string;
  /** Header `DNT`: Do Not Track. */
  dnt: string;
  /** Header `Sec-GPC`: Global Privacy Control. */
  gpc: string;
}

/**
 * Reads the headers from the raw list. `request.headers` is created on first use, which costs more than
 * everything else here. If a header is repeated, the first value counts, except that lists and cookies are
 * joined (as in Node).
 */
export function readHeaders(raw: readonly string[]): HeaderFields {
  let host = '';
  let contentLength = '';
  let transferEncoding = '';
  let agent = '';
  let acceptLanguage = '';
  let referrer = '';
  let forwardedFor = '';
  let forwardedProto = '';
  let forwardedHost = '';
  let forwarded = '';
  let authorization = '';
  let cookie = '';
  let dnt = '';
  let gpc = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    // The length alone rules out most names.
    switch (name.length) {
      case 3:
        if (dnt === '' && is(name, 'DNT', 'dnt')) dnt = raw[i + 1]!;
        break;
      case 4:
        if (host === '' && is(name, 'Host', 'host')) host = raw[i + 1]!;
        break;
      case 6:
        if (is(name, 'Cookie', 'cookie')) cookie = join(cookie, raw[i + 1]!, '; ');
        break;
      case 7:
        if (referrer === '' && is(name, 'Referer', 'referer')) referrer = raw[i + 1]!;
        else if (gpc === '' && is(name, 'Sec-GPC', 'sec-gpc')) gpc = raw[i + 1]!;
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
      case 14:
        if (contentLength === '' && is(name, 'Content-Length', 'content-length')) contentLength = raw[i + 1]!;
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
        } else if (is(name, 'Transfer-Encoding', 'transfer-encoding')) transferEncoding = raw[i + 1]!;
        break;
    }
  }
  return {
    host,
    contentLength,
    transferEncoding,
    agent,
    acceptLanguage,
    referrer,
    forwardedFor,
    forwardedProto,
    forwardedHost,
    forwarded,
    authorization,
    cookie,
    dnt,
    gpc,
  };
}

/**
 * Compares header names. Those of the same length differ in their last letter (`Accept-Encoding`,
 * `Accept-Language`; `Accept`, `Cookie`), which avoids most of the expensive text comparisons.
 */
function is(name: string, usual: string, lower: string): boolean {
  const last = name.length - 1;
  if ((name.charCodeAt(last) | 32) !== lower.charCodeAt(last)) return false;
  return name === usual || name === lower || name.toLowerCase() === lower;
}

function join(before: string, value: string, separator: string): string {
  return before === '' ? value : before + separator + value;
}
