import Bowser from 'bowser';
import { isbot } from 'isbot';
import Negotiator from 'negotiator';
import { BoundedCache } from '../../platform/cache.ts';
import type { FreeGeoIp } from './free-geo-ip.ts';
import { type GeoSource, NOWHERE, type Place } from './geo.ts';

/** What the text of a user agent says. */
export interface AgentFacts {
  /** As `bowser` names it: `Chrome`, `Firefox`, `Safari`, `Microsoft Edge`; else the product, such as `curl`. */
  browser: string | null;
  version: string | null;
  /** The operating system: `Windows`, `macOS`, `Linux`, `Android`, `iOS`. */
  platform: string | null;
  /** Whether it says it is a robot, or a program rather than a browser. */
  bot: boolean;
}

/**
 * The longest texts looked at, in UTF-16 units. No browser's agent comes near (those of apps within apps have some
 * 500); what is longer is parsed up to here and not kept in the cache.
 */
const LONGEST_AGENT = 1024;
const LONGEST_ACCEPT_LANGUAGE = 256;
/** An IPv6 address has up to 45, a zone may follow. */
const LONGEST_ADDRESS = 64;
/** The tag that every reader must be able to hold (RFC 5646 §4.4.1). */
const LONGEST_LANGUAGE = 35;

/** Entries of a generation of each cache: at the worst about 6, 2 and 4 MB. */
const CACHED_AGENTS = 2_000;
const CACHED_LANGUAGES = 2_000;
const CACHED_ADDRESSES = 10_000;

const NO_AGENT: AgentFacts = Object.freeze({ browser: null, version: null, platform: null, bot: false });
const NO_LANGUAGE = Object.freeze({ tag: null });

/** Finds what a record's texts say. Never throws, whatever they are. */
export class Enricher {
  /** Asked for what `place` does not know. */
  readonly service: FreeGeoIp | undefined;
  readonly #agents: Remembering<AgentFacts>;
  readonly #languages: Remembering<{ tag: string | null }>;
  readonly #places: Remembering<Place>;

  /** @param geo Where addresses are looked up; without it and the service no country is known. */
  constructor(geo: GeoSource | undefined, service?: FreeGeoIp) {
    this.service = service;
    this.#agents = new Remembering(CACHED_AGENTS, LONGEST_AGENT, NO_AGENT, parseAgent);
    this.#languages = new Remembering(CACHED_LANGUAGES, LONGEST_ACCEPT_LANGUAGE, NO_LANGUAGE, bestLanguage);
    this.#places = new Remembering(CACHED_ADDRESSES, LONGEST_ADDRESS, NOWHERE, geo ?? (() => NOWHERE));
  }

  userAgent(agent: string): AgentFacts {
    return this.#agents.get(agent);
  }

  /** The language wanted most of an Accept-Language header, in its usual case: `en-US`. */
  language(header: string): string | null {
    return this.#languages.get(header).tag;
  }

  place(address: string): Place {
    return this.#places.get(address);
  }
}

/** A look-up with a memory; `unknown` for an empty text and for one that it throws at. */
class Remembering<T extends object> {
  readonly #cache: BoundedCache<string, T>;
  readonly #longest: number;
  readonly #unknown: T;
  readonly #find: (text: string) => T;

  constructor(limit: number, longest: number, unknown: T, find: (text: string) => T) {
    this.#cache = new BoundedCache(limit);
    this.#longest = longest;
    this.#unknown = unknown;
    this.#find = find;
  }

  get(text: string): T {
    if (text === '') return this.#unknown;
    if (text.length > this.#longest) return this.#look(text.slice(0, this.#longest));
    let found = this.#cache.get(text);
    if (found === undefined) {
      found = this.#look(text);
      this.#cache.set(text, found);
    }
    return found;
  }

  #look(text: string): T {
    try {
      return this.#find(text);
    } catch {
      return this.#unknown;
    }
  }
}

function parseAgent(agent: string): AgentFacts {
  const { browser, os } = Bowser.parse(agent);
  const bot = isbot(agent);
  const name = nameOf(browser.name);
  const platform = nameOf(os.name);
  if (name !== null) return { browser: name, version: versionOf(browser.version), platform, bot };
  // One product and nothing else (RFC 9110 §10.1.5), as programs have it: `curl/8.5.0`.
  const product = /^([\w.-]+)\/([\w.+-]+)$/.exec(agent);
  return { browser: nameOf(product?.[1]), version: versionOf(product?.[2]), platform, bot };
}

/** For agents that it does not know, bowser takes any text before a slash for a name. Real ones have up to 30. */
function nameOf(name: string | undefined): string | null {
  return name !== undefined && /^\w[\w .:!'()&+-]{0,63}$/.test(name) ? name : null;
}

/** What belongs to a version of `126.0.0.0,gzip(gfe)`. */
function versionOf(version: string | undefined): string | null {
  return /^\d[\w.+-]{0,31}/.exec(version ?? '')?.[0] ?? null;
}

function bestLanguage(header: string): { tag: string | null } {
  // Of a header that was cut, here or before, the last entry is not whole.
  const whole =
    header.length < LONGEST_ACCEPT_LANGUAGE ? header : header.slice(0, header.lastIndexOf(',') + 1);
  const wanted = new Negotiator({ headers: { 'accept-language': whole } }).languages();
  for (const tag of wanted) {
    const language = canonicalLanguage(tag);
    if (language !== null) return { tag: language };
  }
  return NO_LANGUAGE;
}

/** `null` for `*` and for what is no language tag. */
function canonicalLanguage(tag: string): string | null {
  let language: string | undefined;
  try {
    [language] = Intl.getCanonicalLocales(tag);
  } catch {
    // not a language tag
  }
  if (language === undefined) return null;
  while (language.length > LONGEST_LANGUAGE) {
    // From the right and by subtags; a single letter only introduces the next one (RFC 5646 §4.4.2).
    language = language.slice(0, language.lastIndexOf('-')).replace(/-\w$/, '');
  }
  return language === 'und' ? null : language;
}
