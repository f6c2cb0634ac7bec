import Bowser from 'bowser';
import Negotiator from 'negotiator';
import { botOf } from '../../bots/recognize.ts';
import { BoundedCache } from '../../platform/cache.ts';
import type { FreeGeoIp } from './free-geo-ip.ts';
import { type GeoLocation, type GeoSource, NO_LOCATION } from './geo.ts';

/** Data parsed from a user agent. */
export interface AgentFields {
  /**
   * Browser name from `bowser`: `Chrome`, `Firefox`, `Safari`, `Microsoft Edge`. For bots and other programs the
   * product, for example `bingbot` or `curl`; never `null` for a bot.
   */
  browser: string | null;
  version: string | null;
  /** Operating system: `Windows`, `macOS`, `Linux`, `Android`, `iOS`. */
  platform: string | null;
  /** Kind of device: `desktop`, `mobile`, `tablet`, `tv`, or `bot`. */
  device: string | null;
  /** True if it identifies as a bot, or as a program other than a browser. */
  bot: boolean;
}

/**
 * Maximum length of a user agent that is parsed completely, in UTF-16 units. Browsers' agents are far shorter
 * (apps within apps reach about 500). Longer ones are truncated and not cached.
 */
const MAX_AGENT_LENGTH = 1024;
const MAX_ACCEPT_LANGUAGE_LENGTH = 256;
/** Maximum length of an address. IPv6 takes up to 45, and a zone may follow. */
const MAX_ADDRESS_LENGTH = 64;
/** Length of a language tag that every implementation must support (RFC 5646 §4.4.1). */
const MAX_LANGUAGE_LENGTH = 35;

/** Number of entries per generation of each cache. At most about 6, 2 and 4 MB. */
const CACHED_AGENTS = 2_000;
const CACHED_LANGUAGES = 2_000;
const CACHED_ADDRESSES = 10_000;

const NO_AGENT: AgentFields = Object.freeze({
  browser: null,
  version: null,
  platform: null,
  device: null,
  bot: false,
});
/** Kinds of devices that `bowser` recognizes, besides bots. */
const DEVICES: ReadonlySet<string> = new Set(['desktop', 'mobile', 'tablet', 'tv']);
const NO_LANGUAGE = Object.freeze({ tag: null });

/** Derives data from a record's texts. Never throws, whatever the texts contain. */
export class Enricher {
  /** Geolocation service for addresses that `locate` does not find. */
  readonly service: FreeGeoIp | undefined;
  readonly #agents: MemoizedLookup<AgentFields>;
  readonly #languages: MemoizedLookup<{ tag: string | null }>;
  readonly #locations: MemoizedLookup<GeoLocation>;

  /**
   * Creates an enricher.
   * @param geo Looks up addresses. Without it and the service, no country is known.
   */
  constructor(geo: GeoSource | undefined, service?: FreeGeoIp) {
    this.service = service;
    this.#agents = new MemoizedLookup(CACHED_AGENTS, MAX_AGENT_LENGTH, NO_AGENT, parseAgent);
    this.#languages = new MemoizedLookup(
      CACHED_LANGUAGES,
      MAX_ACCEPT_LANGUAGE_LENGTH,
      NO_LANGUAGE,
      bestLanguage,
    );
    this.#locations = new MemoizedLookup(
      CACHED_ADDRESSES,
      MAX_ADDRESS_LENGTH,
      NO_LOCATION,
      geo ?? (() => NO_LOCATION),
    );
  }

  userAgent(agent: string): AgentFields {
    return this.#agents.get(agent);
  }

  /** Returns the preferred language of an Accept-Language header, in canonical case: `en-US`. */
  language(header: string): string | null {
    return this.#languages.get(header).tag;
  }

  locate(address: string): GeoLocation {
    return this.#locations.get(address);
  }
}

/** Cached lookup. Returns `unknown` for an empty text, and if the lookup throws. */
class MemoizedLookup<T extends object> {
  readonly #cache: BoundedCache<string, T>;
  readonly #maxLength: number;
  readonly #unknown: T;
  readonly #find: (text: string) => T;

  constructor(limit: number, maxLength: number, unknown: T, find: (text: string) => T) {
    this.#cache = new BoundedCache(limit);
    this.#maxLength = maxLength;
    this.#unknown = unknown;
    this.#find = find;
  }

  get(text: string): T {
    if (text === '') return this.#unknown;
    if (text.length > this.#maxLength) return this.#look(text.slice(0, this.#maxLength));
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

function parseAgent(agent: string): AgentFields {
  const { browser, os, platform: hardware } = Bowser.parse(agent);
  const platform = nameOf(os.name);
  const bot = botOf(agent);
  if (bot) return { browser: bot.name, version: bot.version, platform, device: 'bot', bot: true };
  const device = hardware.type !== undefined && DEVICES.has(hardware.type) ? hardware.type : null;
  const name = nameOf(browser.name);
  if (name !== null)
    return { browser: name, version: versionOf(browser.version), platform, device, bot: false };
  // A single product without comments (RFC 9110 §10.1.5), as programs send it: `curl/8.5.0`.
  const product = /^([\w.-]+)\/([\w.+-]+)$/.exec(agent);
  return { browser: nameOf(product?.[1]), version: versionOf(product?.[2]), platform, device, bot: false };
}

/**
 * Returns a plausible browser name. For unknown agents, bowser takes any text before a slash; real names have
 * up to 30 characters.
 */
function nameOf(name: string | undefined): string | null {
  return name !== undefined && /^\w[\w .:!'()&+-]{0,63}$/.test(name) ? name : null;
}

/** Returns the version part of a text such as `126.0.0.0,gzip(gfe)`. */
function versionOf(version: string | undefined): string | null {
  return /^\d[\w.+-]{0,31}/.exec(version ?? '')?.[0] ?? null;
}

function bestLanguage(header: string): { tag: string | null } {
  // If the header was truncated, here or before, its last entry is incomplete.
  const complete =
    header.length < MAX_ACCEPT_LANGUAGE_LENGTH ? header : header.slice(0, header.lastIndexOf(',') + 1);
  const preferred = new Negotiator({ headers: { 'accept-language': complete } }).languages();
  for (const tag of preferred) {
    const language = canonicalLanguage(tag);
    if (language !== null) return { tag: language };
  }
  return NO_LANGUAGE;
}

/** Returns the canonical tag, or `null` for `*` and for invalid tags. */
function canonicalLanguage(tag: string): string | null {
  let language: string | undefined;
  try {
    [language] = Intl.getCanonicalLocales(tag);
  } catch {
    // It is not a language tag.
  }
  if (language === undefined) return null;
  while (language.length > MAX_LANGUAGE_LENGTH) {
    // Removes subtags from the right. A single letter only introduces the next one (RFC 5646 §4.4.2).
    language = language.slice(0, language.lastIndexOf('-')).replace(/-\w$/, '');
  }
  return language === 'und' ? null : language;
}
