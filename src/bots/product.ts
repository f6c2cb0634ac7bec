/** Name of a bot whose user agent contains no name. */
export const UNKNOWN_BOT = 'unknown';
/** Maximum length of a name. Longer words are no names of products. */
export const MAX_BOT_NAME_LENGTH = 40;

/** Words that name no product: those of browsers, platforms, and of sentences. */
const ORDINARY = new Set(
  [
    'a an and any are by compatible for from http https i in is like of on or our see the this to us use user useragent via we with www',
    'about abuse admin contact email info mailto page please support url user-agent version website your',
    'mozilla applewebkit webkit khtml gecko chrome chromium safari mobile firefox edge edg edga edgios opr opera msie trident presto crios fxios build wv',
    'windows nt win32 win64 wow64 x64 x86_64 i686 amd64 macintosh intel mac os x x11 linux android iphone ipad ipod cpu u ubuntu fedora debian',
    'en en-us de fr ru n d k',
  ].flatMap((words) => words.split(' ')),
);
/** Parts of words that bots use in their names. */
const BOT_WORD =
  /bot|crawl|spider|scrap|scan|fetch|monitor|check|preview|archiv|index|search|feed|rss|http|client|ping/i;
const URLS = /(?:\+|\b)(?:https?:\/\/|www\.)\S*/gi;
/** E-mail addresses. The limit keeps the time linear. */
const MAIL = /[^\s@]{1,64}@\S+/g;
/** Words that are a name only together with the word before them. */
const GENERIC =
  /^(?:bot|robot|crawler|spider|scraper|scanner|fetcher|monitor|monitoring|checker|client|preview|agent|service)$/i;

/**
 * Returns the most likely name of a program in a user agent that no list knows: a product with a version, a word such
 * as `examplebot`, or the host of its address. Returns `unknown` if there is none. The result has at most 40
 * characters.
 */
export function productOf(agent: string): string {
  // Addresses contain no names of products.
  let text = agent.replace(URLS, ' ; ');
  if (text.includes('@')) text = text.replace(MAIL, ' ; ');
  const words: Word[] = [];
  for (const { 0: found, index } of text.matchAll(/[\p{L}\d][\p{L}\d_.+!-]*/gu)) {
    const name = found.replace(/[.+!-]+$/, '');
    const end = index + found.length;
    const isVersioned = /^\/v?\d/i.test(text.slice(end, end + 3));
    const before = words.at(-1);
    const isSecond = before !== undefined && isName(before.name) && text.slice(before.end, index) === ' ';
    // A word that is no name without the word before it.
    const pair = GENERIC.test(name) && isSecond ? `${before.name} ${name}` : name;
    words.push({ name: pair.length > MAX_BOT_NAME_LENGTH ? name : pair, index, end, isVersioned });
  }
  const names = words.filter(({ name }) => isName(name));
  const specific = names.filter(({ name }) => !GENERIC.test(name));
  const isBrowser = /^mozilla\//i.test(agent);
  const { 0: compatible = '', index: at = 0 } = /\(compatible;\s*/i.exec(text) ?? {};
  const best =
    specific.find(({ name, isVersioned }) => isVersioned && BOT_WORD.test(name)) ??
    specific.find(({ name }) => BOT_WORD.test(name)) ??
    (isBrowser ? undefined : specific[0]) ??
    specific.find(({ index }) => compatible !== '' && index === at + compatible.length) ??
    specific.findLast(({ isVersioned }) => isVersioned) ??
    names[0];
  return best?.name ?? hostIn(agent) ?? UNKNOWN_BOT;
}

function hostIn(agent: string): string | undefined {
  const [, host = ''] =
    /(?:https?:\/\/|@)(?:www\.)?([\w-]+(?:\.[\w-]+)+)/i.exec(agent) ??
    /\bwww\.([\w-]+(?:\.[\w-]+)+)/i.exec(agent) ??
    [];
  return host === '' || host.length > MAX_BOT_NAME_LENGTH ? undefined : host.toLowerCase();
}

interface Word {
  name: string;
  index: number;
  end: number;
  /** True if a version follows, as in `name/1.0`. */
  isVersioned: boolean;
}

function isName(word: string): boolean {
  return (
    word.length > 1 &&
    word.length <= MAX_BOT_NAME_LENGTH &&
    /^[a-z]/i.test(word) &&
    // Names of products are ASCII (RFC 9110).
    /^[ -~]+$/.test(word) &&
    // A random ID is no name.
    !/^[\da-f-]{12,}$/i.test(word) &&
    !ORDINARY.has(word.toLowerCase())
  );
}
