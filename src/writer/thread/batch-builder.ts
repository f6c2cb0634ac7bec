import { type Extra, FLAG_AUTHORIZATION, FLAG_BOT, pathOf, RecordBatch } from '../../batch.ts';
import type { CapturedFields } from '../../capture/record-sink.ts';
import type { SegmentHeader } from '../../journal/segment.ts';
import { classOf } from '../../summaries/request-class.ts';
import { NOT_FOUND, type UrlKeyChoice, withoutUrlKey } from '../../summaries/url-key.ts';
import type { AgentFields, Enricher } from '../enrich/enricher.ts';
import type { FreeGeoIp } from '../enrich/free-geo-ip.ts';
import { campaignOf, hostOf, INTERNAL_HOST } from '../enrich/sources.ts';
import type { StoredChoice } from '../protocol.ts';
import type { CustomSummaries } from './custom-summaries.ts';
import type { DailyVisitors } from './daily-visitors.ts';
import { TextBudget } from './text-budget.ts';

/** Default maximum number of records per batch. */
export const MAX_RECORDS = 32_768;
/**
 * Maximum number of UTF-16 units of distinct text per batch, so that hostile input can neither fill the memory nor
 * block the thread.
 */
export const MAX_TEXT_LENGTH = 1024 * 1024;
/** The same limit for data outside the columns: vars and route parameters. */
export const MAX_EXTRA_LENGTH = 8 * 1024 * 1024;

/** IDs of a user agent and its parsed parts, as they are stored. */
interface AgentIds {
  agent: number;
  browser: number;
  version: number;
  platform: number;
  device: number;
  /** 0 unless it is stored that this is a bot. */
  botName: number;
  isBot: boolean;
}

/** Texts derived from a URL. Numbers are IDs in the batch. */
interface UrlParts {
  path: number;
  pathText: string;
  campaign: number;
  /** Scheme and host, or `''`. */
  origin: string;
}

const NO_AGENT = { agent: 0, browser: 0, version: 0, platform: 0, device: 0, botName: 0 };
/** Scheme and host of a URL. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/** ID of an address's country, and further data of the lookup. */
interface Location {
  country: number;
  geo: Record<string, unknown> | null;
}

/** Fills batches with records from the journal, and adds derived data. */
export class BatchBuilder {
  readonly batch = new RecordBatch();
  readonly #enricher: Enricher;
  readonly #statuses = new Map<number, number>();
  /** Parsed data of this batch's texts, by their IDs. */
  readonly #agents = new Map<number | string, AgentIds>();
  readonly #languages = new Map<string, number>();
  readonly #countries = new Map<number | string, Location>();
  readonly #urls = new Map<number, UrlParts>();
  /** Hosts of referrers by the ID of their text, and of URLs by their scheme and host. */
  readonly #hosts = new Map<number | string, string | null>();
  /** Address of each record, if addresses are not stored. */
  #addresses: string[] = [];
  readonly #stored: StoredChoice;
  readonly #visitors: DailyVisitors | undefined;
  readonly #urlKeys: UrlKeyChoice;
  readonly #keys: CustomSummaries;
  readonly #texts: TextBudget;
  #serverName = 0;
  #extraLength = 0;
  /** Length of the parsed user agents that are not among the texts of the batch. */
  #agentLength = 0;

  readonly #maxRecords: number;
  /** Factor for larger batches: the text limits apply to `MAX_RECORDS`. */
  readonly #scale: number;

  constructor(
    enricher: Enricher,
    site: string,
    keys: CustomSummaries,
    maxRecords = MAX_RECORDS,
    texts = new TextBudget(Number.POSITIVE_INFINITY),
    stored: StoredChoice = { remoteAddr: true, userAgent: true },
    visitors?: DailyVisitors,
    urlKeys: UrlKeyChoice = { by: 'url', groupsNotFound: false },
  ) {
    this.#urlKeys = urlKeys;
    this.#visitors = visitors;
    this.#stored = stored;
    this.#enricher = enricher;
    this.batch.site = site;
    this.batch.budget = texts;
    this.#keys = keys;
    this.#texts = texts;
    this.#maxRecords = maxRecords;
    this.#scale = Math.max(1, maxRecords / MAX_RECORDS);
  }

  /** Starts a new batch of a journal. */
  begin(header: SegmentHeader): void {
    this.batch.clear();
    this.#texts.begin();
    this.#extraLength = 0;
    this.#agentLength = 0;
    this.#statuses.clear();
    this.#agents.clear();
    this.#languages.clear();
    this.#countries.clear();
    this.#urls.clear();
    this.#hosts.clear();
    this.#addresses = [];
    this.#serverName = this.batch.intern(header.serverName);
  }

  /** True if the batch should accept no more records. */
  get isFull(): boolean {
    const { length, textLength } = this.batch;
    return (
      length >= this.#maxRecords ||
      textLength + this.#agentLength >= MAX_TEXT_LENGTH * this.#scale ||
      this.#extraLength >= MAX_EXTRA_LENGTH * this.#scale
    );
  }

  /** Adds a record. Returns false if the key of its day's visitors must be loaded first. */
  add(fields: CapturedFields): boolean {
    if (this.#visitors?.knows(fields.date) === false) return false;
    const { batch } = this;
    if (batch.length === batch.capacity) batch.grow();
    const i = batch.length++;
    const { text } = batch;
    batch.date[i] = fields.date;
    batch.duration[i] = fields.duration;
    batch.contentLength[i] = fields.contentLength;
    batch.status[i] = fields.status;
    text.serverName[i] = this.#serverName;
    text.method[i] = batch.intern(fields.method);
    text.url[i] = batch.internLimited(fields.url);
    const { path, pathText, campaign, origin } = this.#partsOf(text.url[i]!, fields.url);
    text.path[i] = path;
    text.campaign[i] = campaign;
    text.route[i] = batch.intern(fields.route);
    text.protocol[i] = batch.intern(fields.protocol);
    text.forwardedFor[i] = batch.internLimited(fields.forwardedFor);
    text.referrer[i] = batch.internLimited(fields.referrer);
    text.referrerHost[i] = this.#referrerHost(text.referrer[i]!, fields.referrer, origin);
    text.username[i] = batch.internLimited(fields.username);
    text.blueprint[i] = batch.intern(fields.blueprint);
    text.state[i] = this.#status(fields.status);
    text.language[i] = this.#language(fields.acceptLanguage);

    const agent = this.#agent(fields.agent);
    text.agent[i] = agent.agent;
    text.browser[i] = agent.browser;
    text.version[i] = agent.version;
    text.platform[i] = agent.platform;
    text.device[i] = agent.device;
    text.botName[i] = agent.botName;
    // Most bots keep no cookie, so that each of their requests would be a new visitor.
    text.visitor[i] = agent.isBot ? 0 : this.#visitor(fields);
    batch.flags[i] = (fields.credentials ? FLAG_AUTHORIZATION : 0) | (agent.botName !== 0 ? FLAG_BOT : 0);

    const address = this.#stored.remoteAddr ? batch.internLimited(fields.remoteAddr) : fields.remoteAddr;
    const location = this.#locationOf(address, fields.remoteAddr);
    if (typeof address === 'number') text.remoteAddr[i] = address;
    else {
      text.remoteAddr[i] = 0;
      this.#addresses.push(address);
    }
    text.country[i] = location.country;

    const { extra, urlKey } = withoutUrlKey(fields.extra);
    text.urlKey[i] = this.#urlKey(fields, urlKey, text.url[i]!);
    text.class[i] = this.#class(fields, pathText);
    batch.received[i] = fields.received;
    batch.derive(i);
    if (extra !== '') {
      batch.extra.set(i, extra);
      this.#extraLength += extra.length;
    }
    this.#keys.captured(batch, i);
    if (location.geo) this.#addGeo(i, location.geo);
    return true;
  }

  /** Finishes the batch. Call it when the batch is full. */
  complete(): void {
    this.#keys.enriched(this.batch);
  }

  /**
   * Queries the geolocation service, if any, for addresses that the database does not know. A full batch does
   * not wait, because more records are pending.
   */
  locate(): Promise<void> | undefined {
    const { service } = this.#enricher;
    return service && this.#locate(service);
  }

  async #locate(service: FreeGeoIp): Promise<void> {
    const { batch } = this;
    const { country, remoteAddr } = batch.text;
    const unknown = [...this.#countries].filter(([, location]) => location.country === 0).map(([id]) => id);
    const addressOf = (id: number | string) => (typeof id === 'string' ? id : (batch.strings[id] ?? ''));
    await service.locate(unknown.map(addressOf), !this.isFull);
    const found = new Map<
      number | string,
      { country: number; geo: Record<string, unknown> | null; json: string }
    >();
    for (const id of unknown) {
      const { country, geo: rest } = service.find(addressOf(id));
      if (country === null) continue;
      // Responses often repeat the address, or contain its host name.
      const geo = this.#stored.remoteAddr ? rest : null;
      found.set(id, { country: batch.intern(country), geo, json: JSON.stringify({ geo }) });
    }
    if (found.size === 0) return;
    for (let i = 0; i < batch.length; i++) {
      const location = found.get(this.#stored.remoteAddr ? remoteAddr[i]! : this.#addresses[i]!);
      if (!location) continue;
      country[i] = location.country;
      if (!location.geo) continue;
      // All records of an address share one text.
      if (batch.extra.has(i)) this.#addGeo(i, location.geo);
      else batch.extra.set(i, location.json);
    }
  }

  /**
   * Returns the key in `sumUrls`, or 0 if it is the URL.
   * @param captured Result of the user's function.
   */
  #urlKey({ url, route, status }: CapturedFields, captured: string | undefined, urlId: number): number {
    const { batch } = this;
    const { by, groupsNotFound } = this.#urlKeys;
    let id = 0;
    if (groupsNotFound && status === 404 && route === '') id = batch.intern(NOT_FOUND);
    else if (captured !== undefined) id = batch.internLimited(captured);
    else if (by === 'route' && route !== '') id = batch.intern(route);
    else if (by !== 'url') id = batch.internLimited(pathOf(url));
    return id === urlId ? 0 : id;
  }

  #partsOf(id: number, url: string): UrlParts {
    let parts = this.#urls.get(id);
    if (!parts) {
      const pathText = pathOf(url);
      const path = this.#internDerived(pathText, id);
      const campaign = this.#internDerived(campaignOf(url), id);
      parts = { path, pathText, campaign, origin: ORIGIN.exec(url)?.[0] ?? '' };
      if (!this.#isOverBudget(id)) this.#urls.set(id, parts);
    }
    return parts;
  }

  #referrerHost(id: number, referrer: string, origin: string): number {
    if (referrer === '') return 0;
    const host = this.#hostOf(this.#isOverBudget(id) ? undefined : id, referrer);
    if (host === null) return 0;
    if (host === this.#hostOf(origin, origin)) return this.batch.intern(INTERNAL_HOST);
    return this.#internDerived(host, id);
  }

  /**
   * Returns the ID of a text derived from one with the ID `from`, which takes no room in the budget. If that text is over
   * the budget, the derived one must be known: many URLs share a path.
   */
  #internDerived(text: string | null, from: number): number {
    if (text === null) return 0;
    if (!this.#isOverBudget(from)) this.#texts.include(text);
    else if (!this.#texts.has(text)) return this.batch.others();
    return this.batch.intern(text);
  }

  /** @param name Name in the cache, if the host may be cached. */
  #hostOf(name: number | string | undefined, url: string): string | null {
    let host = name === undefined ? undefined : this.#hosts.get(name);
    if (host === undefined) {
      host = hostOf(url);
      if (name !== undefined) this.#hosts.set(name, host);
    }
    return host;
  }

  #class({ class: code, method, status }: CapturedFields, path: string): number {
    if (code === 0) return 0;
    return this.batch.intern(classOf({ code, method, path, status }));
  }

  #visitor({ visitor, remoteAddr, agent }: CapturedFields): number {
    if (visitor !== '' || !this.#visitors) return this.batch.internLimited(visitor);
    return this.batch.internLimited(this.#visitors.idOf(remoteAddr, agent));
  }

  #status(status: number): number {
    let id = this.#statuses.get(status);
    if (id === undefined) {
      id = this.batch.intern(String(status));
      this.#statuses.set(status, id);
    }
    return id;
  }

  #language(header: string): number {
    let id = this.#languages.get(header);
    if (id === undefined) {
      id = this.batch.internLimited(this.#enricher.language(header));
      this.#languages.set(header, id);
    }
    return id;
  }

  #agent(text: string): AgentIds {
    const { userAgent } = this.#stored;
    const id = userAgent === true ? this.batch.internLimited(text) : text;
    let agent = this.#agents.get(id);
    if (!agent) {
      agent = this.#agentIds(id, this.#enricher.userAgent(text));
      const isOver = this.#isOverBudget(id);
      if (!isOver) this.#agents.set(id, agent);
      // Parsing a hostile one takes up to 2 ms, so a batch must not have many of them, even if they are not stored.
      if (isOver || typeof id === 'string') this.#agentLength += text.length;
    }
    return agent;
  }

  #agentIds(id: number | string, fields: AgentFields): AgentIds {
    const { browser, version, platform, device, bot: isBot } = fields;
    const { userAgent } = this.#stored;
    if (userAgent === false) return { ...NO_AGENT, isBot };
    const intern = (part: string | null) => this.batch.internLimited(part);
    const major = userAgent === true ? version : (/^\d+/.exec(version ?? '')?.[0] ?? null);
    const browserId = intern(browser);
    return {
      agent: typeof id === 'number' ? id : intern(reducedAgent(browser, major, platform)),
      browser: browserId,
      version: intern(major),
      platform: intern(platform),
      device: this.batch.intern(device),
      botName: isBot ? browserId : 0,
      isBot,
    };
  }

  #locationOf(id: number | string, address: string): Location {
    let location = this.#countries.get(id);
    if (!location) {
      const { country, geo } = this.#enricher.locate(address);
      location = { country: this.batch.intern(country), geo };
      if (!this.#isOverBudget(id)) this.#countries.set(id, location);
    }
    return location;
  }

  /** Returns whether an ID represents all texts beyond the budget, so that nothing can be cached by it. */
  #isOverBudget(id: number | string): boolean {
    return typeof id === 'number' && this.batch.strings[id] === '';
  }

  #addGeo(index: number, geo: Record<string, unknown>): void {
    const { extra } = this.batch;
    extra.set(index, JSON.stringify({ ...(JSON.parse(extra.get(index) ?? '{}') as Extra), geo }));
  }
}

/** Returns a user agent that contains only what is stored of it: `Chrome/126 (Windows)`. */
function reducedAgent(
  browser: string | null,
  version: string | null,
  platform: string | null,
): string | null {
  const product = browser === null || version === null ? browser : `${browser}/${version}`;
  return [product, platform && `(${platform})`].filter(Boolean).join(' ') || null;
}
