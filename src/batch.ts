import {
  REQUEST_CLASSES,
  type RequestClass,
  TEXT_COLUMNS,
  type TextColumn,
  type UsageRecord,
} from './record.ts';

/** Bit of `RecordBatch.flags`: the request had credentials. */
export const FLAG_AUTHORIZATION = 1;
/** Bit of `RecordBatch.flags`: the user agent identifies as a bot. */
export const FLAG_BOT = 2;

/** Data of a record that has no column. Rarely set, and stored together as JSON. */
export interface Extra {
  /** Values of the route's parameters (Flask-Track-Usage: `view_args`). */
  routeParams?: Record<string, unknown>;
  /** Custom data set by the app (Flask-Track-Usage: `track_var`). */
  vars?: Record<string, unknown>;
  /** Additional data from the lookup of the address. */
  geo?: Record<string, unknown>;
  /** Result of the function passed as `urlKey`. Only in the journal: the batch has a column for it. */
  urlKey?: string;
  /** Keys in summaries whose key is a closure, by name. The closure cannot be called again later. */
  keys?: Record<string, string[]>;
}

/** Decides which of the texts that clients choose are stored. */
export interface TextLimit {
  /** Returns whether a text may be stored. */
  admits(text: string): boolean;
}

/** Keys of a batch's records in a user-defined summary, as IDs in `strings`. */
export interface CustomKeys {
  /** First key of each record. */
  first: Int32Array;
  /** Other keys of records with several, by index of the record. */
  more: Map<number, readonly number[]>;
}

/** A `RecordBatch` in the form sent to another thread. */
export type RecordBatchData = Pick<
  RecordBatch,
  | 'site'
  | 'length'
  | 'strings'
  | 'date'
  | 'duration'
  | 'contentLength'
  | 'received'
  | 'status'
  | 'flags'
  | 'text'
  | 'extra'
>;

/**
 * Records as columns, with each text held once. Column values are IDs in `strings`, where ID 0 is `null`. One
 * object is reused for all batches, so that a million records do not need a million objects.
 */
export class RecordBatch {
  /** Name of the site to which all records belong. */
  site = 'default';
  /** Number of records. */
  length = 0;
  /** Distinct texts by ID. ID 0 is `null`. */
  strings: (string | null)[] = [null];
  /** Arrival of each request, in ms since 1970, with a fraction. */
  date: Float64Array;
  /** Time from arrival to the write that completed the response, in µs. */
  duration: Float64Array;
  /** Number of body bytes of each response. */
  contentLength: Float64Array;
  /** Number of body bytes of each request, or -1 if it is unknown. */
  received: Float64Array;
  /** Status of each response. */
  status: Uint16Array;
  /** Bits of each record: `FLAG_AUTHORIZATION` and `FLAG_BOT`. */
  flags: Uint8Array;
  /** IDs of each record's texts in `strings`, by column. */
  text: Record<TextColumn, Int32Array>;
  /** JSON of `Extra`, by index of the record. */
  extra = new Map<number, string>();
  /** Keys by the name of the user-defined summary. */
  customKeys = new Map<string, CustomKeys>();
  /** Names of the summaries in which keys were added up under `OTHERS`, because a bucket had no room for them. */
  overBudget = new Set<string>();
  /** Number of UTF-16 units in `strings`, which limits the memory of a batch. */
  textLength = 0;
  /** Decides which of the texts that clients choose are stored. Defaults to all. */
  budget: TextLimit | undefined;
  #ids = new Map<string, number>();

  constructor(capacity = 1024) {
    this.date = new Float64Array(capacity);
    this.duration = new Float64Array(capacity);
    this.contentLength = new Float64Array(capacity);
    this.received = new Float64Array(capacity);
    this.status = new Uint16Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.text = Object.fromEntries(
      TEXT_COLUMNS.map((column) => [column, new Int32Array(capacity)]),
    ) as typeof this.text;
  }

  /** Creates a read-only batch from another thread's data. */
  static of(data: RecordBatchData): RecordBatch {
    return Object.assign(new RecordBatch(0), data);
  }

  /** Returns a copy for another thread, no larger than its records. */
  toData(): RecordBatchData {
    const { site, length, strings, extra } = this;
    const text = {} as RecordBatch['text'];
    for (const column of TEXT_COLUMNS) text[column] = this.text[column].slice(0, length);
    return {
      site,
      length,
      strings,
      date: this.date.slice(0, length),
      duration: this.duration.slice(0, length),
      contentLength: this.contentLength.slice(0, length),
      received: this.received.slice(0, length),
      status: this.status.slice(0, length),
      flags: this.flags.slice(0, length),
      text,
      extra,
    };
  }

  /** Number of UTF-16 units of all its texts. */
  get units(): number {
    let units = this.textLength;
    for (const text of this.extra.values()) units += text.length;
    return units;
  }

  /** Number of records for which the columns have room. */
  get capacity(): number {
    return this.date.length;
  }

  /** Returns the ID of a text in `strings`, and adds the text if necessary. */
  intern(text: string | null): number {
    if (text === null || text === '') return 0;
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.strings.length;
      const copied = unpinned(text);
      this.strings.push(copied);
      this.#ids.set(copied, id);
      this.textLength += text.length;
    }
    return id;
  }

  /** Returns the ID of a text that a client chose: like `intern`, or that of `OTHERS` if the budget is reached. */
  internLimited(text: string | null): number {
    const { budget } = this;
    if (text === null || text === '') return 0;
    const id = this.#ids.get(text);
    if (id !== undefined) return id;
    return budget === undefined || budget.admits(text) ? this.intern(text) : this.others();
  }

  /**
   * Returns the ID of the empty text in `strings`, and adds it if necessary. It stands for values beyond a budget: see
   * `OTHERS`. `intern` treats an empty text as `null`.
   */
  others(): number {
    let id = this.#ids.get('') ?? this.strings.indexOf('');
    if (id < 0) id = this.strings.push('') - 1;
    this.#ids.set('', id);
    return id;
  }

  /** Returns the ID of a stored text in `strings`, and adds it if necessary. The empty text is `OTHERS`. */
  internStored(text: string | null): number {
    return text === '' ? this.others() : this.intern(text);
  }

  /** Removes all records and texts. The capacity stays. */
  clear(): void {
    this.length = 0;
    this.strings = [null];
    this.#ids = new Map();
    this.extra.clear();
    this.overBudget.clear();
    for (const { more } of this.customKeys.values()) more.clear();
    this.textLength = 0;
  }

  /** Doubles the capacity for records. */
  grow(): void {
    const capacity = this.capacity * 2;
    const wider = <T extends Float64Array | Uint16Array | Uint8Array | Int32Array>(old: T): T => {
      const grown = new (old.constructor as new (length: number) => T)(capacity);
      grown.set(old);
      return grown;
    };
    this.date = wider(this.date);
    this.duration = wider(this.duration);
    this.contentLength = wider(this.contentLength);
    this.received = wider(this.received);
    this.status = wider(this.status);
    this.flags = wider(this.flags);
    for (const column of TEXT_COLUMNS) this.text[column] = wider(this.text[column]);
    for (const keys of this.customKeys.values()) keys.first = wider(keys.first);
  }

  /** Sets the keys of the record at `index` in a user-defined summary. */
  setKeys(summary: string, index: number, keys: readonly string[]): void {
    let customKeys = this.customKeys.get(summary);
    if (!customKeys) {
      customKeys = { first: new Int32Array(this.capacity), more: new Map() };
      this.customKeys.set(summary, customKeys);
    }
    // Several keys beyond the budget of texts become one, which counts the record once.
    const [first = 0, ...more] = new Set(keys.map((key) => this.internLimited(key)));
    customKeys.first[index] = first;
    if (more.length > 0) customKeys.more.set(index, more);
  }

  /** Sets the columns of the record at `index` that follow from its status, key, class and path. */
  derive(index: number): void {
    const { status, text } = this;
    text.notFound[index] = status[index] === 404 ? text.urlKey[index]! || text.url[index]! : 0;
    const found = this.at('class', index);
    for (const name of REQUEST_CLASSES) text[name][index] = found === name ? text.path[index]! : 0;
  }

  /** Returns the number of body bytes of the request at `index`, if it is known. */
  receivedAt(index: number): number | null {
    const received = this.received[index]!;
    return received < 0 ? null : received;
  }

  /** Returns the text of a column of the record at `index`. */
  at(column: TextColumn, index: number): string | null {
    return this.strings[this.text[column][index]!]!;
  }

  /** Returns the complete record at `index`. */
  record(index: number): UsageRecord {
    const agent = this.at('agent', index);
    const extra = JSON.parse(this.extra.get(index) ?? '{}') as Extra;
    return {
      date: this.date[index]!,
      site: this.site,
      serverName: this.at('serverName', index)!,
      method: this.at('method', index)!,
      ...partsOfUrl(this.at('url', index)!),
      route: this.at('route', index),
      routeParams: extra.routeParams ?? null,
      protocol: this.at('protocol', index)!,
      status: this.status[index]!,
      class: this.at('class', index) as RequestClass | null,
      contentLength: this.contentLength[index]!,
      received: this.receivedAt(index),
      duration: this.duration[index]!,
      remoteAddr: this.at('remoteAddr', index),
      forwardedFor: this.at('forwardedFor', index),
      userAgent:
        agent === null
          ? null
          : {
              string: agent,
              browser: this.at('browser', index),
              version: this.at('version', index),
              platform: this.at('platform', index),
              device: this.at('device', index),
            },
      language: this.at('language', index),
      referrer: this.at('referrer', index),
      referrerHost: this.at('referrerHost', index),
      campaign: this.at('campaign', index),
      username: this.at('username', index),
      authorization: (this.flags[index]! & FLAG_AUTHORIZATION) !== 0,
      visitor: this.at('visitor', index),
      country: this.at('country', index),
      geo: extra.geo ?? null,
      bot: (this.flags[index]! & FLAG_BOT) !== 0,
      vars: extra.vars ?? null,
      blueprint: this.at('blueprint', index),
    };
  }
}

const scratch = Buffer.alloc(4096);

/** Copies a substring, which would otherwise keep the complete text in memory. */
function unpinned(text: string): string {
  return text.length * 3 > scratch.length ? text : scratch.toString('utf8', 0, scratch.write(text));
}

/** Returns the parts of a URL. */
export function partsOfUrl(url: string): Pick<UsageRecord, 'url' | 'path' | 'query'> {
  const mark = url.indexOf('?');
  return { url, path: pathOf(url), query: mark < 0 ? null : queryOf(url.slice(mark + 1)) };
}

/** Returns the path of a URL, from the first slash up to the query. */
export function pathOf(url: string): string {
  const mark = url.indexOf('?');
  const end = mark < 0 ? url.length : mark;
  const scheme = url.indexOf('://');
  // A relative URL may contain another URL in its path or its query.
  const isRelative = url.startsWith('/') || scheme < 0 || scheme > end;
  const slash = isRelative ? 0 : url.indexOf('/', scheme + 3);
  return slash < 0 || slash > end ? '/' : url.slice(slash, end);
}

function queryOf(search: string): UsageRecord['query'] {
  const query: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(search)) {
    const before = query[name];
    if (before === undefined) query[name] = value;
    else if (typeof before === 'string') query[name] = [before, value];
    else before.push(value);
  }
  return Object.keys(query).length === 0 ? null : query;
}
