import { type Extra, FLAG_AUTHORIZATION, FLAG_BOT, RecordBatch } from '../../batch.ts';
import type { CapturedFields } from '../../capture/record-sink.ts';
import type { SegmentHeader } from '../../journal/segment.ts';
import type { Enricher } from '../enrich/enricher.ts';
import type { FreeGeoIp } from '../enrich/free-geo-ip.ts';
import type { CustomSummaries } from './custom-summaries.ts';
import { TextBudget } from './text-budget.ts';

/** Default maximum number of records per batch. */
export const MAX_RECORDS = 32_768;
/**
 * Maximum number of UTF-16 units of distinct text per batch, so that hostile input cannot fill the memory.
 */
export const MAX_TEXT_LENGTH = 1024 * 1024;
/** The same limit for data outside the columns: vars and route parameters. */
export const MAX_EXTRA_LENGTH = 8 * 1024 * 1024;

/** IDs of the parsed parts of a user agent. */
interface AgentIds {
  browser: number;
  version: number;
  platform: number;
  /** 0 unless it is a bot. */
  botName: number;
}

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
  readonly #agents = new Map<number, AgentIds>();
  readonly #languages = new Map<string, number>();
  readonly #countries = new Map<number, Location>();
  readonly #keys: CustomSummaries;
  readonly #texts: TextBudget;
  #serverName = 0;
  #extraLength = 0;

  readonly #maxRecords: number;
  /** Factor for larger batches: the text limits apply to `MAX_RECORDS`. */
  readonly #scale: number;

  constructor(
    enricher: Enricher,
    site: string,
    keys: CustomSummaries,
    maxRecords = MAX_RECORDS,
    texts = new TextBudget(Number.POSITIVE_INFINITY),
  ) {
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
    this.#statuses.clear();
    this.#agents.clear();
    this.#languages.clear();
    this.#countries.clear();
    this.#serverName = this.batch.intern(header.serverName);
  }

  /** True if the batch should accept no more records. */
  get isFull(): boolean {
    const { length, textLength } = this.batch;
    return (
      length >= this.#maxRecords ||
      textLength >= MAX_TEXT_LENGTH * this.#scale ||
      this.#extraLength >= MAX_EXTRA_LENGTH * this.#scale
    );
  }

  add(fields: CapturedFields): void {
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
    text.route[i] = batch.intern(fields.route);
    text.protocol[i] = batch.intern(fields.protocol);
    text.forwardedFor[i] = batch.internLimited(fields.forwardedFor);
    text.referrer[i] = batch.internLimited(fields.referrer);
    text.username[i] = batch.internLimited(fields.username);
    text.blueprint[i] = batch.intern(fields.blueprint);
    text.state[i] = this.#status(fields.status);
    text.language[i] = this.#language(fields.acceptLanguage);

    const agentId = batch.internLimited(fields.agent);
    const agent = this.#agent(agentId, fields.agent);
    text.agent[i] = agentId;
    text.browser[i] = agent.browser;
    text.version[i] = agent.version;
    text.platform[i] = agent.platform;
    text.botName[i] = agent.botName;
    // Most bots keep no cookie, so that each of their requests would be a new visitor.
    text.visitor[i] = agent.botName === 0 ? batch.internLimited(fields.visitor) : 0;
    batch.flags[i] = (fields.credentials ? FLAG_AUTHORIZATION : 0) | (agent.botName !== 0 ? FLAG_BOT : 0);

    const addressId = batch.internLimited(fields.remoteAddr);
    const location = this.#locationOf(addressId, fields.remoteAddr);
    text.remoteAddr[i] = addressId;
    text.country[i] = location.country;

    if (fields.extra !== '') {
      batch.extra.set(i, fields.extra);
      this.#extraLength += fields.extra.length;
    }
    this.#keys.captured(batch, i);
    if (location.geo) this.#addGeo(i, location.geo);
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
    const addressOf = (id: number) => batch.strings[id] ?? '';
    await service.locate(unknown.map(addressOf), !this.isFull);
    const found = new Map<number, { country: number; geo: Record<string, unknown> | null; json: string }>();
    for (const id of unknown) {
      const { country, geo } = service.find(addressOf(id));
      if (country === null) continue;
      found.set(id, { country: batch.intern(country), geo, json: JSON.stringify({ geo }) });
    }
    if (found.size === 0) return;
    for (let i = 0; i < batch.length; i++) {
      const location = found.get(remoteAddr[i]!);
      if (!location) continue;
      country[i] = location.country;
      if (!location.geo) continue;
      // All records of an address share one text.
      if (batch.extra.has(i)) this.#addGeo(i, location.geo);
      else batch.extra.set(i, location.json);
    }
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

  #agent(id: number, text: string): AgentIds {
    let agent = this.#agents.get(id);
    if (!agent) {
      const { browser, version, platform, bot } = this.#enricher.userAgent(text);
      const intern = (part: string | null) => this.batch.internLimited(part);
      agent = {
        browser: intern(browser),
        version: intern(version),
        platform: intern(platform),
        botName: bot ? intern(browser) : 0,
      };
      if (!this.#isOverBudget(id)) this.#agents.set(id, agent);
    }
    return agent;
  }

  #locationOf(id: number, address: string): Location {
    let location = this.#countries.get(id);
    if (!location) {
      const { country, geo } = this.#enricher.locate(address);
      location = { country: this.batch.intern(country), geo };
      if (!this.#isOverBudget(id)) this.#countries.set(id, location);
    }
    return location;
  }

  /** Returns whether an ID stands for many texts beyond the budget, so that nothing can be cached by it. */
  #isOverBudget(id: number): boolean {
    return this.batch.strings[id] === '';
  }

  #addGeo(index: number, geo: Record<string, unknown>): void {
    const { extra } = this.batch;
    extra.set(index, JSON.stringify({ ...(JSON.parse(extra.get(index) ?? '{}') as Extra), geo }));
  }
}
