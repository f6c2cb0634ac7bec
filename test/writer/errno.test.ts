import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { TrackUsageError } from '../../src/errors.ts';
import { journalsDirectory, listJournals } from '../../src/journal/directory.ts';
import { Journal } from '../../src/journal/journal.ts';
import { monotonicClock, wallClock } from '../../src/platform/clock.ts';
import { Storage } from '../../src/query/storage.ts';
import { AccessLogWriter } from '../../src/sinks/access-log/index.ts';
import type { Batch, StorageWriter } from '../../src/storage/contract.ts';
import { RecordWriter } from '../../src/storage/writer.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { AppWriters } from '../../src/writer/app/app-writers.ts';
import { dataOf } from '../../src/writer/app/client.ts';
import { Enricher } from '../../src/writer/enrich/enricher.ts';
import type { WriterData } from '../../src/writer/protocol.ts';
import { Journals } from '../../src/writer/thread/journals.ts';
import { AppCalls } from '../../src/writer/thread/remote-writer.ts';
import { StoragePipeline } from '../../src/writer/thread/storage-pipeline.ts';
import { fieldsOf } from '../journal/support.ts';
import { type Call, ERRNOS, FailingFiles, type Fault } from '../support/failing-files.ts';

/*
 * A journal is written, left by its process, adopted by the next one, stored in four storages of different kinds and
 * deleted, while calls of the file system fail. Then a process without errors stores what is left. Each run makes one
 * call fail, or several in a row; together they enumerate all calls of the scenario and all errors.
 */

/** Time that passes with each turn, so that nothing waits for a pause, ms. */
const TURN = 250;
/** Maximum real time of a process, ms. */
const PATIENCE = 10_000;

let now = 1_000_000;
const clocks: { mockRestore(): void }[] = [];
beforeAll(() => {
  clocks.push(
    vi.spyOn(monotonicClock, 'now').mockImplementation(() => now),
    vi.spyOn(wallClock, 'now').mockImplementation(() => Date.now() + now),
  );
});
afterAll(() => {
  for (const clock of clocks) clock.mockRestore();
});

const FRAGILE = 'the connection was lost';

/** A storage without transactions: a batch that fails midway is stored partly, and must be retried unchanged. */
class Fragile {
  readonly urls: string[] = [];
  readonly broken: string[] = [];
  readonly #positions = new Map<string, Batch['to']>();
  readonly #halves = new Map<string, { from: number; text: string; stored: number }>();
  #applied = 0;

  open(): StorageWriter {
    return {
      replays: true,
      position: async (journal) => this.#positions.get(journal),
      apply: async (batch) => this.#apply(batch),
      forget: async (journal) => void this.#positions.delete(journal),
      refuses: () => false,
      close: async () => {},
    };
  }

  #apply(batch: Batch): boolean {
    const { journal, from, to } = batch;
    if ((this.#positions.get(journal)?.position ?? 0) !== from.position) return false;
    const urls = urlsOf(batch);
    const text = JSON.stringify({ from, to, urls });
    const half = this.#halves.get(journal);
    const before = half?.from === from.position ? half : { from: from.position, text, stored: 0 };
    if (before.text !== text) this.broken.push(`${before.text} came again as ${text}`);
    this.#applied += 1;
    const fails = this.#applied % 3 === 1;
    const end = fails ? Math.floor(urls.length / 2) : urls.length;
    this.urls.push(...urls.slice(before.stored, end));
    this.#halves.set(journal, { ...before, stored: Math.max(before.stored, end) });
    if (fails) throw new Error(FRAGILE);
    this.#positions.set(journal, to);
    return true;
  }
}

const urlsOf = ({ records }: Batch) =>
  Array.from({ length: records.length }, (_, i) => records.at('url', i)!.replace('http://h', ''));

/** Stored records of all processes of a run. */
class Places {
  readonly directory = mkdtempSync(join(tmpdir(), 'track-usage-errno-'));
  readonly fragile = new Fragile();
  readonly output: string[] = [];
  readonly storages: readonly RecordWriter[];

  constructor() {
    const { fragile, output } = this;
    this.storages = [
      new SqliteStorage(join(this.directory, 'usage.db'), { hooks: ['urls'] }),
      new AccessLogWriter(join(this.directory, 'access.log')),
      new Storage({
        label: 'fragile',
        identity: 'fragile',
        openWriter: async () => fragile.open(),
        openReader: async () => ({}) as never,
      }),
      new (class extends RecordWriter {})(
        {
          label: 'output',
          identity: 'output',
          positions: 'journal',
          maxRecords: 7,
          openWriter: async () => ({
            position: async () => undefined,
            apply: async (batch) => {
              output.push(...urlsOf(batch));
              return true;
            },
            forget: async () => {},
            refuses: () => false,
            close: async () => {},
          }),
        },
        [],
      ),
    ];
  }

  get journals(): string {
    return journalsDirectory(join(this.directory, 'journals'), 'errno');
  }

  stored(): Record<'sqlite' | 'sums' | 'log' | 'fragile' | 'output', string[]> {
    const database = new DatabaseSync(join(this.directory, 'usage.db'), { readOnly: true });
    const rows = (sql: string) => database.prepare(sql).all() as { url: string; hits: number }[];
    const plain = (url: string) => url.replace('http://h', '');
    const sqlite = rows('SELECT url FROM usage_records').map(({ url }) => plain(url));
    const sums = rows('SELECT key AS url, hits FROM usage_urls_monthly');
    database.close();
    const log = readFileSync(join(this.directory, 'access.log'), 'utf8');
    return {
      sqlite,
      sums: sums.flatMap(({ url, hits }) => Array<string>(Number(hits)).fill(plain(url))),
      log: [...log.matchAll(/"GET (\S+) HTTP/g)].map(([, url = '']) => url),
      fragile: this.fragile.urls,
      output: this.output,
    };
  }
}

/** A tracking process: the app's end of a journal and the writer's end, in this thread. */
class Process {
  readonly journal: Journal;
  readonly problems: TrackUsageError[] = [];
  readonly errors = new Set<string>();
  readonly #journals: Journals;
  readonly #pipelines: readonly StoragePipeline[];
  readonly #running: Promise<unknown>;

  constructor(places: Places) {
    const directory = places.journals;
    const onProblem = (problem: TrackUsageError) => this.problems.push(problem);
    this.journal = new Journal({
      directory,
      mode: 'append',
      maxBytes: 2 ** 30,
      segmentBytes: 1024,
      header: { site: 'default', serverName: 'test' },
      onProblem,
    });
    const { journal } = this;
    const data: WriterData = {
      directory,
      journal: journal.id,
      shared: journal.shared.memory,
      site: 'default',
      serverName: 'test',
      timeZone: 'UTC',
      durable: false,
      geo: false,
      freeGeoIp: undefined,
      daily: undefined,
      stored: { remoteAddr: true, userAgent: true },
      urlKeys: { by: 'url', groupsNotFound: false },
      before: [],
      maxBytes: 2 ** 30,
      storages: places.storages.map(dataOf),
    };
    this.#journals = new Journals(
      directory,
      journal.id,
      journal.shared,
      data.storages.map(({ ephemeral }) => ephemeral),
      onProblem,
    );
    journal.onMemoryPiece = (piece) => this.#journals.own.memory.push(piece);
    const ends = new AppWriters(places.storages);
    const calls: AppCalls = new AppCalls((call) => void ends.answer(call).then((told) => calls.answer(told)));
    const enricher = new Enricher(undefined);
    this.#pipelines = data.storages.map((_, number): StoragePipeline => {
      const pipeline: StoragePipeline = new StoragePipeline(number, data, this.#journals, enricher, calls, {
        onStatus: () => this.#note(pipeline),
        onProblem,
        onStored: () => {},
      });
      return pipeline;
    });
    this.#running = Promise.all(this.#pipelines.map((pipeline) => pipeline.run()));
  }

  append(urls: readonly string[]): void {
    for (const url of urls) this.journal.append({ ...fieldsOf(`http://h${url}`) });
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#turn();
  }

  /** Works until every storage has all records of its own journal and of those of dead processes. */
  async finish(listed: () => number): Promise<boolean> {
    const deadline = performance.now() + PATIENCE;
    for (let i = 0; performance.now() < deadline; i++) {
      await this.#turn();
      // Modules are loaded in real time.
      if (i > 100) await new Promise((resolve) => setTimeout(resolve, 1));
      const { end } = this.journal.shared;
      if (!this.#pipelines.every(({ status }) => status.opened && status.position >= end)) continue;
      if (this.#journals.all.length === 1 && listed() <= 1) return true;
    }
    return false;
  }

  /** Ends like a killed process, leaving its journal. Returns the records that were only in memory. */
  async die(): Promise<string[]> {
    await this.#end();
    const kept = [...this.journal.memoryPieces()];
    await this.journal.close({ discard: false });
    return kept.map(({ bytes }) => /http:\/\/h(\/\d+)/.exec(bytes.toString('latin1'))![1]!);
  }

  async close(): Promise<void> {
    await this.#end();
    await this.journal.close({ discard: true });
  }

  async #end(): Promise<void> {
    for (const pipeline of this.#pipelines) pipeline.stop(false);
    await this.#running;
    this.#journals.release();
  }

  #note({ status }: StoragePipeline): void {
    for (const error of [status.error, status.journalError])
      if (error && error.message !== FRAGILE) this.errors.add(error.message);
  }

  async #turn(): Promise<void> {
    now += TURN;
    this.#journals.adopt();
    for (const pipeline of this.#pipelines) pipeline.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const urls = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `/${from + i}`);

/** Runs the scenario with the faults. Returns the calls and what is wrong with the result. */
async function run(fault: (call: Call) => Fault, harmless = HARMLESS) {
  const places = new Places();
  const files = new FailingFiles(places.directory, fault);
  const processes: Process[] = [];
  const start = () => {
    const started = new Process(places);
    processes.push(started);
    return started;
  };
  const journals = () => files.spared(() => listJournals(places.journals).length);
  const wrong: string[] = [];
  let inMemory: string[] = [];
  try {
    const first = start();
    first.append(urls(0, 12));
    await first.turns(12);
    first.append(urls(12, 30));
    inMemory = await first.die();
    const second = start();
    second.append(urls(30, 36));
    if (!(await second.finish(journals))) wrong.push('the second process did not finish');
    await second.close();
    files.stop();
    const third = start();
    if (!(await third.finish(journals))) wrong.push('the third process did not finish');
    await third.close();
    // A journal is deleted in the background.
    const isEmpty = () => readdirSync(places.journals).length === 0;
    const deadline = performance.now() + PATIENCE;
    while (!isEmpty() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 1));
    if (!isEmpty()) wrong.push('something is left');
    const problems = processes
      .flatMap((each) => each.problems)
      .filter(({ message }) => !message.includes(FRAGILE));
    const codes = new Set(problems.map(({ code }) => code));
    // The position of a stream may be behind if its file could not be written or had no directory yet.
    const isBehind = codes.has('POSITION_UNWRITABLE') || codes.has('JOURNAL_UNWRITABLE');
    for (const [place, stored] of Object.entries(places.stored())) {
      const missing = urls(0, 36).filter((url) => !stored.includes(url) && !inMemory.includes(url));
      const twice = stored.filter((url, i) => stored.indexOf(url) !== i);
      if (missing.length > 0) wrong.push(`${place} has not ${missing}`);
      const mayRepeat = place === 'output' && isBehind;
      if (twice.length > 0 && !mayRepeat) wrong.push(`${place} has twice ${twice}`);
    }
    wrong.push(...places.fragile.broken);
    for (const code of ['JOURNAL_GONE', 'JOURNAL_CORRUPT', 'BATCH_CORRUPT', 'POSITION_CORRUPT'] as const) {
      if (codes.has(code)) wrong.push(`${code} was said`);
    }
    if (inMemory.length === 0 && !isBehind && codes.has('JOURNAL_DROPPED'))
      wrong.push('JOURNAL_DROPPED was said');
    const told = problems.length + processes.reduce((sum, { errors }) => sum + errors.size, 0);
    const silent = files.failed.filter(({ name }) => !harmless.test(name));
    if (silent.length > 0 && told === 0) wrong.push(`nothing was said of ${silent[0]!.name}`);
  } finally {
    files.stop();
    rmSync(places.directory, { recursive: true, force: true });
  }
  return { calls: files.calls, failed: files.failed, wrong };
}

/**
 * A single failure of these calls is harmless: files that were read are closed, other calls are retried, and
 * the position of a closed journal is deleted with its directory.
 */
const HARMLESS_ONCE =
  /^closeSync|lock\.db|heartbeat|adopted|(stat|readdir)Sync journal|usage\.db|^statement|^rmSync position/;
/** Statements within a transaction of a storage, and calls that may fail after it. */
const IN_TRANSACTION = /^statement|^(BEGIN|COMMIT|DELETE|CREATE) (usage\.db|access\.log\.positions)/;
/** The lock is renewed at the next heartbeat. Until then, the heartbeat protects the journal. */
const HARMLESS = /^closeSync|lock\.db/;
/** Calls that the scenario must reach. */
const TOUCHED = [
  'openSync segment',
  'readSync segment',
  'writeSync segment',
  'fstatSync segment',
  'statSync segment',
  'unlinkSync segment',
  'readdirSync journal',
  'readdirSync journals',
  'rmSync journal',
  'renameSync batch.new',
  'readFileSync batch',
  'rmSync batch',
  'renameSync position.new',
  'readFileSync position',
  'openSync access.log',
  'writeSync access.log',
  'new DatabaseSync usage.db',
  'new DatabaseSync access.log.positions',
  'new DatabaseSync lock.db',
  'BEGIN usage.db',
  'statement INSERT strings',
  'statement INSERT records',
  'COMMIT usage.db',
  'COMMIT access.log.positions',
];

const calls = (await run(() => undefined)).calls;
const names = [...new Set(calls.map(({ name }) => name))].sort();

/** Returns one call of each context: a function and the call before it. */
function contexts(): Call[] {
  const seen = new Set<string>();
  return calls.filter(({ name }, i) => {
    const context = `${calls[i - 1]?.name} ${name}`;
    return !seen.has(context) && seen.add(context);
  });
}

test('the scenario reaches every call that accesses files', () => {
  expect(TOUCHED.filter((name) => !names.includes(name))).toEqual([]);
});

test('recovers if each call fails once, before or after its effect', { timeout: 240_000 }, async () => {
  const wrong: string[] = [];
  for (const [i, { number, name }] of contexts().entries()) {
    const errno = ERRNOS[i % ERRNOS.length]!;
    const after = i % 2 === 0;
    const only = (call: Call) => (call.number === number ? { errno, after } : undefined);
    const result = await run(only, HARMLESS_ONCE);
    const how = `${name} (${number}) ${errno} ${after ? 'after' : 'before'}`;
    wrong.push(...result.wrong.map((what) => `${how}: ${what}`));
  }
  expect(wrong).toEqual([]);
});

test('recovers if each call fails several times in a row', { timeout: 240_000 }, async () => {
  const wrong: string[] = [];
  for (const [i, name] of names.entries()) {
    const errno = ERRNOS[i % ERRNOS.length]!;
    let left = 12;
    const result = await run((call) =>
      call.name === name && left-- > 0 ? { errno, after: false } : undefined,
    );
    wrong.push(...result.wrong.map((what) => `${name} ${errno}: ${what}`));
  }
  expect(wrong).toEqual([]);
});

test('recovers if each statement of a transaction fails, and then its ROLLBACK', {
  timeout: 240_000,
}, async () => {
  const wrong: string[] = [];
  const undone = new Set<string>();
  for (const [i, name] of names.filter((each) => IN_TRANSACTION.test(each)).entries()) {
    for (const [turn, times] of [0, 2].entries()) {
      const errno = ERRNOS[(i + turn) % ERRNOS.length]!;
      let before = times;
      let rollbacks = 2;
      const result = await run((call) => {
        if (call.name === name && before >= 0) return before-- === 0 ? { errno, after: false } : undefined;
        const isNext = before < 0 && /^ROLLBACK (usage|access)/.test(call.name) && rollbacks-- > 0;
        if (isNext) undone.add(call.name);
        return isNext ? { errno, after: false } : undefined;
      }, HARMLESS_ONCE);
      wrong.push(...result.wrong.map((what) => `${name} (${times}) ${errno}: ${what}`));
    }
  }
  expect(wrong).toEqual([]);
  expect([...undone].sort()).toEqual(['ROLLBACK access.log.positions', 'ROLLBACK usage.db']);
});

test.each(ERRNOS)('recovers from %s at the first, second and third call of each kind', async (errno) => {
  const wrong: string[] = [];
  const missed = new Set(names);
  for (const turn of [0, 1, 2]) {
    const made = new Map<string, number>();
    const result = await run(({ name }) => {
      const before = made.get(name) ?? 0;
      made.set(name, before + 1);
      return before === turn ? { errno, after: false } : undefined;
    });
    for (const { name } of result.failed) missed.delete(name);
    wrong.push(...result.wrong.map((what) => `${turn}: ${what}`));
  }
  // Calls that the scenario does not reach with so many failures.
  for (const name of missed) {
    let left = 1;
    const first = (call: Call) => (call.name === name && left-- > 0 ? { errno, after: false } : undefined);
    const result = await run(first, HARMLESS_ONCE);
    wrong.push(...result.wrong.map((what) => `${name}: ${what}`));
  }
  expect(wrong).toEqual([]);
});
