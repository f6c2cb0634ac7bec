/** The request headers that a record is made of; `''` where one was not sent. */
export interface HeaderFacts {
  host: string;
  agent: string;
  acceptLanguage: string;
  referrer: string;
  forwardedFor: string;
  forwardedProto: string;
  forwardedHost: string;
  authorization: string;
  cookie: string;
}

/**
 * Reads them from the raw list: `request.headers` is made at its first use, which costs more than all the rest
 * here. Of a header that stands several times the first counts, but lists and cookies are joined (as Node does).
 */
export function readHeaders(raw: readonly string[], facts: HeaderFacts): void {
  facts.host = '';
  facts.agent = '';
  facts.acceptLanguage = '';
  facts.referrer = '';
  facts.forwardedFor = '';
  facts.forwardedProto = '';
  facts.forwardedHost = '';
  facts.authorization = '';
  facts.cookie = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    // Most names are ruled out by their length alone.
    switch (name.length) {
      case 4:
        if (facts.host === '' && is(name, 'Host', 'host')) facts.host = raw[i + 1]!;
        break;
      case 6:
        if (is(name, 'Cookie', 'cookie')) facts.cookie = join(facts.cookie, raw[i + 1]!, '; ');
        break;
      case 7:
        if (facts.referrer === '' && is(name, 'Referer', 'referer')) facts.referrer = raw[i + 1]!;
        break;
      case 10:
        if (name === ':authority') facts.host = raw[i + 1]!;
        else if (facts.agent === '' && is(name, 'User-Agent', 'user-agent')) facts.agent = raw[i + 1]!;
        break;
      case 13:
        if (facts.authorization === '' && is(name, 'Authorization', 'authorization')) {
          facts.authorization = raw[i + 1]!;
        }
        break;
      case 15:
        if (is(name, 'Accept-Language', 'accept-language')) {
          facts.acceptLanguage = join(facts.acceptLanguage, raw[i + 1]!, ', ');
        } else if (is(name, 'X-Forwarded-For', 'x-forwarded-for')) {
          facts.forwardedFor = join(facts.forwardedFor, raw[i + 1]!, ', ');
        }
        break;
      case 16:
        if (facts.forwardedHost === '' && is(name, 'X-Forwarded-Host', 'x-forwarded-host')) {
          facts.forwardedHost = raw[i + 1]!;
        }
        break;
      case 17:
        if (facts.forwardedProto === '' && is(name, 'X-Forwarded-Proto', 'x-forwarded-proto')) {
          facts.forwardedProto = raw[i + 1]!;
        }
        break;
    }
  }
}

/** Of another name of that length (`Accept-Encoding`) the last letter differs: only then is a copy made. */
function is(name: string, usual: string, lower: string): boolean {
  if (name === usual || name === lower) return true;
  const last = name.length - 1;
  return (name.charCodeAt(last) | 32) === lower.charCodeAt(last) && name.toLowerCase() === lower;
}

function join(before: string, value: string, separator: string): string {
  return before === '' ? value : before + separator + value;
}
