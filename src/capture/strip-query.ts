/**
 * Names of query parameters that identify a click, an ad or the receiver of an e-mail. Advertisers add them to links,
 * so that nearly every visit would get a URL of its own. Compared without case; `*` matches any characters.
 *
 * Campaigns (`utm_*`) are not included, because they describe the link, not the visitor.
 */
export const CLICK_IDS: readonly string[] = [
  // Google
  'gclid',
  'gclsrc',
  'dclid',
  'gbraid',
  'wbraid',
  'gad_source',
  'gad_campaignid',
  'srsltid',
  '_gl',
  '_ga',
  // Other search engines and social networks
  'msclkid',
  'yclid',
  'ysclid',
  '_openstat',
  'fbclid',
  'igsh',
  'igshid',
  'twclid',
  'ttclid',
  'li_fat_id',
  'epik',
  'rdt_cid',
  'ScCid',
  // E-mail and marketing automation
  'mc_eid',
  'mkt_tok',
  '_hsenc',
  '_hsmi',
  '__hstc',
  '__hssc',
  '__hsfp',
  'hsCtaTracking',
  'vero_id',
  'vero_conv',
  'oly_anon_id',
  'oly_enc_id',
  'ml_subscriber',
  'ml_subscriber_hash',
  '_kx',
  'ck_subscriber_id',
  // Affiliates
  'irclickid',
  'cjevent',
  'rb_clickid',
  'wickedid',
  'dicbo',
];

const AMPERSAND = 38;
const EQUALS = 61;
/** Longest name that has its own bit in `Names.#lengths`. Longer names share the last bit. */
const MAX_BIT = 31;

/**
 * Returns a function that removes the query parameters with these names from a URL, with the `?` if none are left.
 * Everything else stays byte for byte. The function never throws, and does nothing for a URL without a query.
 * @param names Names of parameters, with `*` as a wildcard.
 */
export function createStripper(names: readonly string[]): (url: string) => string {
  if (names.length === 0) return (url) => url;
  const stripped = new Names(names);
  return (url) => {
    const mark = url.indexOf('?');
    if (mark < 0) return url;
    const hash = url.indexOf('#');
    if (hash >= 0 && hash < mark) return url;
    const end = hash < 0 ? url.length : hash;
    let kept = '';
    let copied = mark + 1;
    for (let start = copied; start < end; ) {
      let i = start;
      while (i < end && url.charCodeAt(i) !== EQUALS && url.charCodeAt(i) !== AMPERSAND) i++;
      const isStripped = stripped.has(url, start, i);
      while (i < end && url.charCodeAt(i) !== AMPERSAND) i++;
      // The `&` behind a parameter is removed with it.
      const next = i < end ? i + 1 : end;
      if (isStripped) {
        kept += url.slice(copied, start);
        copied = next;
      }
      start = next;
    }
    if (copied === mark + 1) return url;
    kept += url.slice(copied, end);
    // The last parameter was removed, and the `&` before it is left.
    if (copied === end && kept.endsWith('&')) kept = kept.slice(0, -1);
    return url.slice(0, kept === '' ? mark : mark + 1) + kept + url.slice(end);
  };
}

/** Set of names with wildcards. Names are compared as they are sent, without decoding. */
class Names {
  readonly #exact = new Set<string>();
  /** Texts between the wildcards of each name that has some. */
  readonly #patterns: string[][] = [];
  /** Bits of the possible lengths, by the lowercase first character. They rule out most names without a copy. */
  readonly #lengths = new Int32Array(128);

  constructor(names: readonly string[]) {
    for (const name of names.map((one) => one.toLowerCase())) {
      if (!name.includes('*')) {
        this.#exact.add(name);
        this.#lengths[name.charCodeAt(0) & 127]! |= bitOf(name.length);
        continue;
      }
      this.#patterns.push(name.split('*'));
      if (name.startsWith('*')) this.#lengths.fill(-1);
      else this.#lengths[name.charCodeAt(0) & 127] = -1;
    }
  }

  /** Returns whether the name at these indexes of a URL is in the set. */
  has(url: string, start: number, end: number): boolean {
    if (start === end) return false;
    let unit = url.charCodeAt(start) & 127;
    if (unit >= 65 && unit <= 90) unit |= 32;
    if ((this.#lengths[unit]! & bitOf(end - start)) === 0) return false;
    const name = url.slice(start, end).toLowerCase();
    return this.#exact.has(name) || this.#patterns.some((parts) => matches(name, parts));
  }
}

function bitOf(length: number): number {
  return 1 << Math.min(length, MAX_BIT);
}

/** Returns whether a name consists of these parts, with any text between them. Takes linear time. */
function matches(name: string, parts: readonly string[]): boolean {
  const first = parts[0]!;
  const last = parts.at(-1)!;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
