import { hash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { RecordBatchData } from '../../src/batch.ts';
import { TrackUsageError } from '../../src/errors.ts';
import { listJournals, listSegments, segmentName } from '../../src/journal/directory.ts';
import type { JournalOptions } from '../../src/journal/journal.ts';
import type { Position } from '../../src/journal/position.ts';
import { SEGMENT_HEAD_BYTES } from '../../src/journal/segment.ts';
import { wallClock } from '../../src/platform/clock.ts';
import type { Batch, StorageMaintenance, StorageTimes, StorageWriter } from '../../src/storage/contract.ts';
import { maxKeysOf } from '../../src/storage/key-budget.ts';
import { StorageReplaced } from '../../src/storage/replaced.ts';
import { KEEP_ALL, type Retention, type StoredRetention } from '../../src/storage/retention.ts';
import { Enricher } from '../../src/writer/enrich/enricher.ts';
import type { PipelineStatus, StorageData, WriterData } from '../../src/writer/protocol.ts';
import { HookQuota } from '../../src/writer/thread/hook-quota.ts';
import { Journals } from '../../src/writer/thread/journals.ts';
import { AppCalls } from '../../src/writer/thread/remote-writer.ts';
import { StoragePipeline } from '../../src/writer/thread/storage-pipeline.ts';
import { fieldsOf, openJournal, temporaryDirectory, urlRange } from '../journal/support.ts';

interface Timer {
  run: () => void;
  ms: number;
  unref(): Timer;
}

/** A clock that moves when a test moves it, and the pauses of the pipeline. */
const clock = vi.hoisted(() => ({ now: 0, timers: [] as Timer[], pauses: [] as number[] }));

vi.mock('../../src/platform/clock.ts', async (original) => {
  const clearTimeout = (timer: Timer) => {
    clock.timers = clock.timers.filter((each) => each !== timer);
  };
  return {
    ...(await original<object>()),
    monotonicClock: { now: () => clock.now },
    clearTimeout,
    setTimeout: (run: () => void, ms: number) => {
      const timer: Timer = {
        run,
        ms,
        // A timer of the journal, which is not to be slow here.
        unref: () => {
          clearTimeout(timer);
          clock.pauses.pop();
          return timer;
        },
      };
      clock.timers.push(timer);
      clock.pauses.push(ms);
      return timer;
    },
  };
});

beforeEach(() => {
  Object.assign(clock, { now: 1_000_000, timers: [], pauses: [] });
});

const urlsOf = ({ records }: Pick<Batch, 'records'>) =>
  Array.from({ length: records.length }, (_, i) => records.at('url', i)!);

/** A storage in memory. Tests replace its methods to make them fail. */
class TestWriter implements StorageWriter {
  readonly urls: string[] = [];
  readonly sizes: number[] = [];
  readonly positions = new Map<string, Position>();
  readonly forgotten: string[] = [];
  closed = 0;
  replays?: boolean;
  isReplaced?: () => boolean;
  resume?: (journal: string, at: Position) => Promise<boolean>;
  admit?: (batch: Batch) => Promise<Batch>;
  maintenance?: StorageMaintenance;
  position = async (journal: string) => this.positions.get(journal);
  apply = async (batch: Batch) => this.store(batch);
  forget = async (journal: string) => {
    this.forgotten.push(journal);
    this.positions.delete(journal);
  };
  refuses = (error: unknown) => (error as Error).message.startsWith('refused');
  close = async () => {
    this.closed += 1;
  };

  store(batch: Batch): boolean {
    if ((this.positions.get(batch.journal)?.position ?? 0) !== batch.from.position) return false;
    this.urls.push(...urlsOf(batch));
    this.sizes.push(batch.records.length);
    this.positions.set(batch.journal, batch.to);
    return true;
  }

  /** Refuses batches with one of the URLs. */
  refuse(...urls: string[]): void {
    this.apply = async (batch) => {
      const refused = urlsOf(batch).find((url) => urls.includes(url));
      if (refused !== undefined) throw new Error(`refused ${refused}`);
      return this.store(batch);
    };
  }

  /** Lets the next calls of `apply` fail. */
  failTimes(times: number, error: unknown = new Error('offline')): void {
    let left = times;
    this.apply = async (batch) => {
      if (left-- > 0) throw error;
      return this.store(batch);
    };
  }
}

interface Options {
  directory?: string;
  writer?: TestWriter;
  /** Returns the writing end at each opening. */
  open?: () => StorageWriter;
  storage?: Partial<StorageData>;
  /** Storages of the same app before this one. */
  others?: Partial<StorageData>[];
  before?: PipelineStatus;
  journal?: Partial<JournalOptions>;
}

/** A pipeline from a journal to one storage. Its rounds are made one at a time. */
function pipelineOf({
  directory = temporaryDirectory(),
  writer = new TestWriter(),
  ...options
}: Options = {}) {
  const { journal } = openJournal(directory, options.journal);
  const problems: TrackUsageError[] = [];
  const hooked: string[] = [];
  const statuses: PipelineStatus[] = [];
  let opened = 0;
  const storage: StorageData = {
    label: 'test',
    module: 'data:text/javascript,export const openWriter = (open) => open()',
    options: () => {
      opened += 1;
      return options.open?.() ?? writer;
    },
    positions: 'storage',
    maxRecords: undefined,
    ephemeral: false,
    summaries: [],
    retention: KEEP_ALL,
    maxKeys: maxKeysOf(undefined),
    maxTexts: 1_000_000,
    hooked: false,
    ...options.storage,
  };
  const others = (options.others ?? []).map((other) => ({ ...storage, ...other }));
  const data: WriterData = {
    directory,
    journal: journal.id,
    shared: journal.shared.memory,
    maxBytes: 2 ** 30,
    site: 'default',
    serverName: 'test',
    timeZone: 'UTC',
    durable: false,
    geo: false,
    freeGeoIp: undefined,
    daily: undefined,
    stored: { remoteAddr: true, userAgent: true },
    urlKeys: { by: 'url', groupsNotFound: false },
    before: [...others.map(() => undefined), options.before],
    storages: [...others, storage],
  };
  const onProblem = (problem: TrackUsageError) => void problems.push(problem);
  const ephemeral = data.storages.map((each) => each.ephemeral);
  const journals = new Journals(directory, journal.id, journal.shared, ephemeral, onProblem);
  journal.onMemoryPiece = (piece) => journals.own.memory.push(piece);
  onTestFinished(() => journals.release());
  const pipeline: StoragePipeline = new StoragePipeline(
    others.length,
    data,
    journals,
    new Enricher(undefined),
    new AppCalls(() => {}),
    {
      onStatus: () => statuses.push({ ...pipeline.status }),
      onProblem,
      onStored: ({ length, strings, text }: RecordBatchData) => {
        hooked.push(...Array.from({ length }, (_, i) => strings[text.url[i]!]!));
      },
    },
  );
  let running: Promise<void> | undefined;
  onTestFinished(async () => {
    if (!running) return;
    pipeline.stop(false);
    await running;
  });
  /** Runs until the pipeline pauses. */
  const settle = async () => {
    running ??= pipeline.run();
    for (let turns = 0; clock.timers.length === 0; turns++) {
      if (turns === 2_000) expect.unreachable('the pipeline does not pause');
      await setImmediate();
    }
  };
  return {
    directory,
    writer,
    journal,
    journals,
    pipeline,
    problems,
    hooked,
    statuses,
    get opened() {
      return opened;
    },
    codes: () => problems.map(({ code }) => code),
    messages: () => problems.map(({ message, hint }) => message.replace(`; ${hint}.`, '')),
    append: (from: number, to: number) => {
      for (const url of urlRange(from, to)) journal.append(fieldsOf(url));
    },
    /** Makes a round when its time has come. */
    async round(): Promise<void> {
      const timer = clock.timers.shift();
      if (timer) {
        clock.now += timer.ms;
        timer.run();
      }
      await settle();
    },
    /** Makes a round now, because a caller waits. */
    async wake(): Promise<void> {
      await settle();
      pipeline.wake();
      await settle();
    },
    async stop(forgetsOwn: boolean): Promise<void> {
      pipeline.stop(forgetsOwn);
      await running;
    },
  };
}

/** Leaves the closed journal of another process. */
async function leave(directory: string, from: number, to: number, options: Partial<JournalOptions> = {}) {
  const { journal } = openJournal(directory, options);
  for (const url of urlRange(from, to)) journal.append(fieldsOf(url));
  await journal.close({ discard: false });
  return journal;
}

describe('a round', () => {
  test('stores the records of the journal and reports the position', async () => {
    const at = pipelineOf();
    at.append(0, 3);
    expect(at.pipeline.hasStored(0)).toBe(false);
    await at.round();
    const { end } = at.journal.shared;
    expect(at.writer.urls).toEqual(urlRange(0, 3));
    expect(at.pipeline.status).toMatchObject({
      opened: true,
      position: end,
      ordinal: 3,
      lost: 0,
      adopted: 0,
    });
    expect(at.statuses.at(-1)).toMatchObject({ opened: true, position: end, ordinal: 3 });
    expect(at.journal.shared.committed).toBe(end);
    expect([end, end + 1].map((position) => at.pipeline.hasStored(position))).toEqual([true, false]);
    at.append(3, 5);
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 5));
    expect(at.problems).toEqual([]);
  });

  test('continues at the position of the storage', async () => {
    const at = pipelineOf();
    at.append(0, 2);
    at.writer.positions.set(at.journal.id, { position: at.journal.shared.end, ordinal: 2 });
    at.append(2, 4);
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(2, 4));
    expect(at.pipeline.status.ordinal).toBe(4);
  });

  test('asks for the position again if another process stored the batch', async () => {
    const at = pipelineOf();
    at.append(0, 2);
    const to = { position: at.journal.shared.end, ordinal: 2 };
    at.append(2, 3);
    at.writer.apply = async (batch) => {
      if (batch.from.position === 0) at.writer.positions.set(batch.journal, to);
      return at.writer.store(batch);
    };
    await at.round();
    expect(at.writer.urls).toEqual(['/2']);
    expect(at.problems).toEqual([]);
  });

  test('leaves records that arrive meanwhile to the next one', async () => {
    const at = pipelineOf({ storage: { maxRecords: 1 } });
    at.append(0, 2);
    let next = 2;
    at.writer.apply = async (batch) => {
      if (next < 10) at.append(next, ++next);
      return at.writer.store(batch);
    };
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 2));
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 4));
  });

  test.each([
    ['a caller waits for them', (pipeline: StoragePipeline) => pipeline.wake()],
    [
      'a second has passed',
      () => {
        clock.now += 1_000;
      },
    ],
  ])('includes records that arrive meanwhile if %s', async (_, happens) => {
    const at = pipelineOf({ storage: { maxRecords: 1 } });
    at.append(0, 2);
    let isFirst = true;
    at.writer.apply = async (batch) => {
      if (isFirst) {
        at.append(2, 4);
        happens(at.pipeline);
      }
      isFirst = false;
      return at.writer.store(batch);
    };
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 4));
  });

  test('starts a second after one that stored records, and 100 ms after one that did not', async () => {
    const at = pipelineOf();
    at.append(0, 1);
    await at.round();
    expect(clock.pauses).toEqual([1_000]);
    await at.round();
    expect(clock.pauses).toEqual([1_000, 100]);
    at.writer.apply = async (batch) => {
      clock.now += 300;
      return at.writer.store(batch);
    };
    at.append(1, 2);
    await at.round();
    expect(clock.pauses.slice(2)).toEqual([700]);
    at.writer.apply = async (batch) => {
      clock.now += 1_500;
      return at.writer.store(batch);
    };
    at.append(2, 3);
    // The next round follows without a pause, and finds nothing.
    await at.round();
    expect(clock.pauses.slice(3)).toEqual([100]);
    await at.wake();
    expect(clock.timers).toHaveLength(1);
  });

  test('has batches of the storage’s size', async () => {
    const at = pipelineOf({ storage: { maxRecords: 2 } });
    at.append(0, 5);
    await at.round();
    expect(at.writer.sizes).toEqual([2, 2, 1]);
  });
});

describe('a storage that fails', () => {
  test('is retried with exponential backoff', async () => {
    const at = pipelineOf();
    at.append(0, 2);
    at.writer.failTimes(8);
    for (let i = 0; i < 8; i++) await at.round();
    expect(clock.pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    expect(at.messages()).toEqual(Array(8).fill('cannot write to test: offline'));
    expect(at.codes()[0]).toBe('STORAGE_FAILED');
    expect(at.pipeline.status.error).toMatchObject({ message: 'offline' });
    expect(at.statuses.at(-1)!.error).toMatchObject({ message: 'offline' });
    expect(at.pipeline.hasStored(0)).toBe(false);
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 2));
    expect(at.pipeline.status.error).toBe(undefined);
    expect(at.statuses.at(-1)!.error).toBe(undefined);
    expect(at.pipeline.hasStored(at.journal.shared.end)).toBe(true);
    at.append(2, 3);
    at.writer.failTimes(1);
    await at.round();
    expect(clock.pauses.at(-1)).toBe(100);
    expect(at.opened).toBe(1);
  });

  test('after it stored a batch has its position queried again', async () => {
    const at = pipelineOf();
    at.append(0, 2);
    at.writer.apply = async (batch) => {
      at.writer.apply = async (next) => at.writer.store(next);
      at.writer.store(batch);
      throw new Error('not confirmed');
    };
    await at.round();
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 2));
    expect(at.pipeline.status).toMatchObject({ ordinal: 2, error: undefined });
  });

  test('to open is opened again, and its own error is reported unchanged', async () => {
    const error = new TrackUsageError('STORAGE_FOREIGN', { value: 'x' });
    let fails = 2;
    const writer = new TestWriter();
    const at = pipelineOf({
      writer,
      open: () => {
        if (fails-- > 0) throw error;
        return writer;
      },
    });
    at.append(0, 1);
    await at.round();
    expect(at.problems).toEqual([error]);
    expect(at.pipeline.status).toMatchObject({ opened: false, error: { code: 'STORAGE_FOREIGN' } });
    await at.round();
    await at.round();
    expect(at.opened).toBe(3);
    expect(writer.urls).toEqual(['/0']);
  });

  test('is ready when it is opened, before there is a record', async () => {
    const at = pipelineOf();
    await at.round();
    expect(at.statuses.at(-1)).toMatchObject({ opened: true, error: undefined });
    const { length } = at.statuses;
    // Nothing has changed.
    await at.round();
    expect(at.statuses).toHaveLength(length);
  });
});

describe('the end', () => {
  test.each([true, false])('closes the storage, which forgets the journal: %s', async (forgetsOwn) => {
    const at = pipelineOf();
    at.append(0, 1);
    await at.round();
    await at.stop(forgetsOwn);
    expect(at.writer.forgotten).toEqual(forgetsOwn ? [at.journal.id] : []);
    expect(at.writer.closed).toBe(1);
    expect(at.problems).toEqual([]);
  });

  test.each([
    [new Error('busy'), ['test was not closed cleanly: busy']],
    [new StorageReplaced('gone'), []],
  ])('reports that a storage is not closed, unless it is gone: %s', async (error, messages) => {
    const at = pipelineOf();
    at.writer.close = () => Promise.reject(error);
    await at.round();
    await at.stop(false);
    expect(at.messages()).toEqual(messages);
    expect(at.problems[0]?.cause).toBe(messages.length > 0 ? error : undefined);
  });

  test('comes before a storage was opened', async () => {
    const at = pipelineOf({
      open: () => {
        throw new Error('offline');
      },
    });
    await at.round();
    await at.stop(true);
    expect(at.writer.closed).toBe(0);
  });

  test('does not wait for the other batches of the journal', async () => {
    const at = pipelineOf({ storage: { maxRecords: 1 } });
    at.append(0, 5);
    at.writer.apply = async (batch) => {
      at.pipeline.stop(false);
      return at.writer.store(batch);
    };
    await at.pipeline.run();
    expect(at.writer.urls).toEqual(['/0']);
  });
});

describe('a record that the storage refuses', () => {
  const rejected = (directory: string) =>
    readFileSync(join(directory, 'rejected.ndjson'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { storage: string; reason: string; record: { url: string } });

  test('is found, set aside and counted, and all others are stored', async () => {
    const at = pipelineOf();
    at.append(0, 9);
    at.writer.refuse('/4', '/8');
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 9).filter((url) => url !== '/4' && url !== '/8'));
    expect(at.codes()).toEqual(['RECORD_REJECTED', 'RECORD_REJECTED']);
    expect(at.messages()[0]).toBe('test rejected a record: refused /4');
    expect(
      rejected(at.directory).map(({ storage, reason, record }) => [storage, reason, record.url]),
    ).toEqual([
      ['test', 'refused /4', '/4'],
      ['test', 'refused /8', '/8'],
    ]);
    expect(at.pipeline.status).toMatchObject({ rejected: 2, adoptedRejected: 0, ordinal: 9, lost: 0 });
  });

  test('is set aside once, although its position could not be moved', async () => {
    const at = pipelineOf();
    at.append(0, 1);
    let failures = 2;
    at.writer.apply = async (batch) => {
      if (batch.records.length > 0) throw new Error('refused');
      if (failures-- > 0) throw new Error('offline');
      return at.writer.store(batch);
    };
    for (let i = 0; i < 3; i++) await at.round();
    expect(at.codes()).toEqual(['RECORD_REJECTED', 'STORAGE_FAILED', 'STORAGE_FAILED']);
    expect(rejected(at.directory)).toHaveLength(1);
    expect(at.pipeline.status.rejected).toBe(1);
  });

  test('waits up to 30 s for its file, and is then dropped and counted', async () => {
    const at = pipelineOf();
    at.append(0, 2);
    mkdirSync(join(at.directory, 'rejected.ndjson'));
    at.writer.refuse('/0', '/1');
    await at.round();
    clock.now += 29_000;
    await at.wake();
    expect(at.codes()).toEqual(['REJECT_FILE_UNWRITABLE', 'REJECT_FILE_UNWRITABLE']);
    expect(at.pipeline.status.rejected).toBe(0);
    clock.now += 1_000;
    await at.wake();
    // The next one waits as long.
    expect(at.codes().slice(2)).toEqual(['RECORD_DISCARDED', 'REJECT_FILE_UNWRITABLE']);
    expect(at.pipeline.status.rejected).toBe(1);
    expect(at.messages()[2]).toContain('test rejected a record: refused /0');
    rmSync(join(at.directory, 'rejected.ndjson'), { recursive: true });
    await at.wake();
    expect(at.codes().slice(4)).toEqual(['RECORD_REJECTED']);
    expect(at.pipeline.status).toMatchObject({ rejected: 2, error: undefined });
  });

  test('of a dead process is counted as one of its records', async () => {
    const directory = temporaryDirectory();
    await leave(directory, 0, 3);
    const at = pipelineOf({ directory });
    at.journals.adopt();
    at.writer.refuse('/1');
    await at.round();
    expect(at.pipeline.status).toMatchObject({ rejected: 0, adoptedRejected: 1, adopted: 2 });
  });
});

describe('hooks', () => {
  const storage = { hooked: true };

  test('receive the stored records of the own journal once', async () => {
    const directory = temporaryDirectory();
    await leave(directory, 10, 12);
    const at = pipelineOf({ directory, storage });
    at.journals.adopt();
    at.append(0, 3);
    await at.round();
    expect(at.writer.urls).toEqual([...urlRange(0, 3), ...urlRange(10, 12)]);
    expect(at.hooked).toEqual(urlRange(0, 3));
    // A database that is gone gets the records again, and the hooks do not.
    at.writer.positions.clear();
    at.append(3, 4);
    for (let i = 0; i < 2; i++) await at.round();
    expect(at.writer.urls.slice(5)).toEqual(urlRange(0, 4));
    expect(at.hooked).toEqual(urlRange(0, 4));
  });

  test('are not called for an app without them', async () => {
    const at = pipelineOf();
    at.append(0, 3);
    await at.round();
    expect(at.hooked).toEqual([]);
    expect(at.pipeline.status.unhooked).toBe(0);
  });

  test('that are too slow receive nothing, which is counted', async () => {
    const at = pipelineOf({ storage });
    const reserve = vi.spyOn(HookQuota.prototype, 'reserve').mockReturnValueOnce(false);
    onTestFinished(() => reserve.mockRestore());
    at.append(0, 3);
    await at.round();
    expect(at.hooked).toEqual([]);
    expect(at.pipeline.status.unhooked).toBe(3);
    at.append(3, 4);
    await at.round();
    expect(at.hooked).toEqual(['/3']);
    expect(reserve).toHaveBeenLastCalledWith({ records: 1, units: expect.any(Number) });
    const release = vi.spyOn(HookQuota.prototype, 'release');
    onTestFinished(() => release.mockRestore());
    at.pipeline.called({ records: 1, units: 5 });
    expect(release).toHaveBeenCalledWith({ records: 1, units: 5 });
  });
});

describe('a database that is replaced', () => {
  const replaced = (lost: number) =>
    `test was removed, emptied or replaced while the app was running; stored records that were lost with it: ${lost}`;

  /** A storage whose first database can be removed. */
  function removable(options: Options = {}) {
    const writers = [new TestWriter(), new TestWriter()];
    let isGone = false;
    for (const writer of writers) {
      writer.isReplaced = () => writer === writers[0] && isGone;
    }
    const at = pipelineOf({ ...options, open: () => writers[isGone ? 1 : 0]! });
    return {
      at,
      writers: writers as [TestWriter, TestWriter],
      remove: () => {
        isGone = true;
      },
    };
  }

  test('is detected within a second, and receives the records of the journal', async () => {
    const { at, writers, remove } = removable({ storage: { hooked: true } });
    at.append(0, 3);
    await at.round();
    remove();
    expect(at.pipeline.hasStored(0)).toBe(false);
    await at.round();
    // Reported with the losses, when it is known what was lost.
    expect(at.problems).toEqual([]);
    expect(at.statuses.at(-1)!.error!.message).toContain('test was removed or replaced');
    expect(writers[0].closed).toBe(1);
    await at.round();
    expect(at.messages()).toEqual([replaced(0)]);
    expect(writers[1].urls).toEqual(urlRange(0, 3));
    expect(at.pipeline.status).toMatchObject({ lost: 0, error: undefined });
    expect(at.hooked).toEqual(urlRange(0, 3));
    at.append(3, 4);
    await at.round();
    expect(at.hooked).toEqual(urlRange(0, 4));
    expect(at.problems).toHaveLength(1);
  });

  test('is looked for once per second, and whenever a caller waits', async () => {
    const at = pipelineOf();
    const isReplaced = vi.fn(() => false);
    at.writer.isReplaced = isReplaced;
    await at.round();
    expect(isReplaced).toHaveBeenCalledTimes(1);
    for (let i = 0; i < 9; i++) await at.round();
    expect(isReplaced).toHaveBeenCalledTimes(1);
    await at.round();
    expect(isReplaced).toHaveBeenCalledTimes(2);
    await at.wake();
    expect(isReplaced).toHaveBeenCalledTimes(3);
    at.writer.isReplaced = () => {
      throw new Error('no access');
    };
    expect(at.pipeline.hasStored(0)).toBe(false);
  });

  test('is reported again if opening it again did not help', async () => {
    const at = pipelineOf();
    await at.round();
    at.writer.isReplaced = () => true;
    clock.now += 1_000;
    for (let i = 0; i < 2; i++) {
      clock.now += 1_000;
      await at.round();
    }
    expect(at.messages()).toEqual([expect.stringContaining('test was removed or replaced')]);
    expect(at.writer.closed).toBe(2);
  });

  test('loses the records that have left the journal, which are counted', async () => {
    const { at, writers, remove } = removable({ journal: { segmentBytes: 1_024 } });
    at.append(0, 40);
    await at.round();
    const [segment] = listSegments(at.journal.path);
    expect(segment!.ordinal).toBeGreaterThan(10);
    remove();
    await at.round();
    await at.round();
    expect(at.messages()).toEqual([replaced(segment!.ordinal)]);
    // A gap in the journal is believed after a second.
    clock.now += 1_000;
    await at.round();
    expect(at.pipeline.status).toMatchObject({ lost: segment!.ordinal, ordinal: 40, rejected: 0 });
    expect(writers[1].urls).toEqual(urlRange(segment!.ordinal, 40));
  });

  test('that is restored loses the records after its position that the journal no longer has', async () => {
    const { at, writers, remove } = removable({ journal: { segmentBytes: 1_024 } });
    at.append(0, 40);
    for (const writer of writers) writer.refuse('/2', '/12');
    await at.round();
    const { ordinal } = listSegments(at.journal.path)[0]!;
    expect(ordinal).toBeGreaterThan(20);
    // The copy has the first 10 records.
    const size = at.journal.shared.end / 40;
    writers[1].positions.set(at.journal.id, { position: 10 * Math.floor(size), ordinal: 10 });
    remove();
    await at.round();
    await at.round();
    const lost = ordinal - 10 - 1;
    expect(at.messages().at(-1)).toBe(replaced(lost));
    clock.now += 1_000;
    await at.round();
    // One of those in the gap was refused before.
    expect(at.pipeline.status).toMatchObject({ lost: ordinal - 10, rejected: 1, ordinal: 40 });
    expect(writers[1].urls).toEqual(urlRange(ordinal, 40));
  });

  test('that has fewer records than before is detected by its position', async () => {
    const at = pipelineOf();
    at.append(0, 3);
    await at.round();
    const first = { position: at.journal.shared.end / 3, ordinal: 1 };
    at.append(3, 4);
    at.writer.positions.set(at.journal.id, first);
    await at.round();
    expect(at.statuses.at(-1)!.error!.message).toContain('test has fewer records than were stored in it');
    await at.round();
    expect(at.messages()).toEqual([replaced(0)]);
    expect(at.writer.urls).toEqual([...urlRange(0, 3), ...urlRange(1, 4)]);
    expect(at.opened).toBe(2);
  });

  test('receives the refused records again, which are counted once', async () => {
    const { at, writers, remove } = removable();
    at.append(0, 4);
    for (const writer of writers) writer.refuse('/2');
    await at.round();
    expect(at.pipeline.status.rejected).toBe(1);
    remove();
    await at.round();
    await at.round();
    expect(at.pipeline.status).toMatchObject({ rejected: 1, lost: 0 });
    expect(at.messages().at(-1)).not.toBe(replaced(1));
    expect(writers[1].urls).toEqual(['/0', '/1', '/3']);
  });

  test('loses records of a dead process, which are read again', async () => {
    const directory = temporaryDirectory();
    await leave(directory, 0, 3);
    const { at, writers, remove } = removable({ directory, storage: { maxRecords: 2 } });
    at.journals.adopt();
    writers[0].apply = async (batch) => {
      const isStored = writers[0].store(batch);
      remove();
      if (batch.from.position > 0) throw new StorageReplaced('gone');
      return isStored;
    };
    await at.round();
    expect(at.pipeline.status.adopted).toBe(2);
    await at.round();
    // None was lost, so that the report for the own journal is the only one.
    expect(at.messages()).toEqual([replaced(0)]);
    expect(at.pipeline.status).toMatchObject({ adopted: 3, adoptedLost: 0, lost: 0 });
    expect(writers[1].urls).toEqual(urlRange(0, 3));
  });

  describe('whose writer sets up the new one', () => {
    async function emptied(resumes: boolean) {
      const at = pipelineOf();
      const resumed: unknown[] = [];
      at.writer.resume = async (journal, position) => {
        resumed.push(journal, position);
        at.writer.positions.set(journal, position);
        return resumes;
      };
      at.append(0, 3);
      await at.round();
      const reached = at.writer.positions.get(at.journal.id)!;
      at.writer.positions.clear();
      at.append(3, 5);
      const starts: number[] = [];
      at.writer.apply = async (batch) => {
        starts.push(batch.from.position);
        return at.writer.store(batch);
      };
      await at.round();
      await at.round();
      // The batch after `reached` may be partly stored, so that no other may come first.
      expect(new Set(starts)).toEqual(new Set([reached.position]));
      expect(resumed).toEqual([at.journal.id, reached]);
      expect(at.writer.urls).toEqual(urlRange(0, 5));
      expect(at.opened).toBe(1);
      return at;
    }

    test('loses all records, although the journal still has them', async () => {
      const at = await emptied(true);
      expect(at.messages()).toEqual([replaced(3)]);
      expect(at.pipeline.status).toMatchObject({ lost: 3, ordinal: 5 });
    });

    test('loses nothing if it had no record of the journal', async () => {
      const at = await emptied(false);
      expect(at.messages()).toEqual([]);
      expect(at.pipeline.status).toMatchObject({ lost: 0, ordinal: 5 });
    });
  });
});

describe('the journal of a dead process', () => {
  test('is stored, deleted and forgotten', async () => {
    const directory = temporaryDirectory();
    const dead = await leave(directory, 0, 3);
    const at = pipelineOf({ directory });
    at.append(3, 4);
    at.journals.adopt();
    await at.round();
    expect(at.writer.urls).toEqual(['/3', ...urlRange(0, 3)]);
    expect(at.writer.forgotten).toEqual([dead.id]);
    expect(listJournals(directory)).toEqual([at.journal.id]);
    expect(at.pipeline.status).toMatchObject({ adopted: 3, ordinal: 1 });
    await at.round();
    expect(at.writer.forgotten).toHaveLength(1);
  });

  test('is not stored by a storage that ends with its process', async () => {
    const directory = temporaryDirectory();
    await leave(directory, 0, 3);
    const at = pipelineOf({ directory, storage: { ephemeral: true } });
    at.append(3, 4);
    at.journals.adopt();
    await at.round();
    expect(at.writer.urls).toEqual(['/3']);
  });

  test('that is damaged is stored except for the damaged records, which are counted and reported', async () => {
    const directory = temporaryDirectory();
    const dead = await leave(directory, 0, 3);
    const [segment] = listSegments(dead.path);
    const bytes = readFileSync(segment!.path);
    bytes.fill(0xff, SEGMENT_HEAD_BYTES + 64, SEGMENT_HEAD_BYTES + 72);
    writeFileSync(segment!.path, bytes);
    const at = pipelineOf({ directory });
    at.journals.adopt();
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(1, 3));
    expect(at.pipeline.status).toMatchObject({ adopted: 2, adoptedLost: 1, lost: 0 });
    expect(at.codes()).toEqual(['JOURNAL_CORRUPT']);
  });

  test('that another process adopts meanwhile is left to it', async () => {
    const directory = temporaryDirectory();
    const dead = await leave(directory, 0, 4);
    const at = pipelineOf({ directory, storage: { maxRecords: 2 } });
    at.journals.adopt();
    const held = at.journals.all[1]!;
    at.writer.apply = async (batch) => {
      vi.spyOn(held.adoption!, 'holds').mockReturnValue(false);
      vi.spyOn(held.adoption!, 'isLost', 'get').mockReturnValue(true);
      return at.writer.store(batch);
    };
    await at.round();
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 2));
    expect(at.writer.forgotten).toEqual([]);
    expect(existsSync(dead.path)).toBe(true);
    expect(at.problems).toEqual([]);
  });

  test('is deleted by the last storage that has stored it', async () => {
    const directory = temporaryDirectory();
    const dead = await leave(directory, 0, 3);
    const at = pipelineOf({ directory, others: [{}] });
    at.journals.adopt();
    const held = at.journals.all[1]!;
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 3));
    expect([listSegments(dead.path).length, at.writer.forgotten]).toEqual([1, []]);
    held.committed[0] = Number.POSITIVE_INFINITY;
    await at.round();
    expect(listJournals(directory)).toEqual([at.journal.id]);
    expect(at.writer.forgotten).toEqual([dead.id]);
  });

  test('that cannot be read is retried later, and others are stored meanwhile', async () => {
    const directory = temporaryDirectory();
    const dead = await leave(directory, 0, 3);
    const [segment] = listSegments(dead.path);
    const at = pipelineOf({ directory });
    at.journals.adopt();
    const bytes = readFileSync(segment!.path);
    rmSync(segment!.path);
    symlinkSync(segment!.path, segment!.path);
    at.append(3, 4);
    await at.round();
    expect(at.writer.urls).toEqual(['/3']);
    expect(at.codes()).toEqual(['JOURNAL_UNREADABLE']);
    expect(at.pipeline.status).toMatchObject({ opened: true, error: undefined, ordinal: 1 });
    expect(at.pipeline.status.journalError).toMatchObject({ code: 'JOURNAL_UNREADABLE' });
    expect(at.statuses.at(-1)!.journalError).toBeDefined();
    const tries: number[] = [];
    for (let i = 0; i < 100; i++) {
      const { length } = at.problems;
      await at.round();
      if (at.problems.length > length) tries.push(clock.now);
    }
    const gaps = tries.slice(1).map((time, i) => time - tries[i]!);
    expect(gaps).toEqual([200, 400, 800, 1_600, 3_200]);
    // Immediately if a caller waits.
    rmSync(segment!.path);
    writeFileSync(segment!.path, bytes);
    await at.wake();
    expect(at.writer.urls).toEqual(['/3', ...urlRange(0, 3)]);
    expect(at.statuses.at(-1)).toMatchObject({ journalError: undefined, adopted: 3 });
  });
});

test('the own journal is not stored after another process has adopted it', async () => {
  const at = pipelineOf();
  at.append(0, 3);
  vi.spyOn(at.journals, 'holds').mockReturnValue(false);
  await at.round();
  expect(at.writer.urls).toEqual([]);
  expect(at.problems).toEqual([]);
});

test('files of a storage are named by its number, without storages that end with their process', async () => {
  const namesOf = async (others: Partial<StorageData>[]) => {
    const at = pipelineOf({ others, storage: { positions: 'journal' } });
    at.append(0, 1);
    await at.round();
    expect(at.writer.urls).toEqual(['/0']);
    const names = readdirSync(at.journal.path).filter((name) => name.endsWith('.position'));
    expect(names).toHaveLength(1);
    return names;
  };
  const alone = await namesOf([]);
  expect(await namesOf([{ ephemeral: true }])).toEqual(alone);
  expect(await namesOf([{}])).not.toEqual(alone);
});

test('a journal whose files are deleted is reported', async () => {
  const at = pipelineOf();
  at.append(0, 3);
  rmSync(at.journal.path, { recursive: true });
  await at.round();
  clock.now += 1_000;
  await at.wake();
  expect(at.codes()).toContain('JOURNAL_GONE');
  expect(at.messages().find((message) => message.includes(at.journal.path))).toBeDefined();
});

test('records that were damaged are counted when those behind them are stored', async () => {
  const at = pipelineOf();
  at.append(0, 3);
  const [segment] = listSegments(at.journal.path);
  const bytes = readFileSync(segment!.path);
  bytes.fill(0xff, SEGMENT_HEAD_BYTES + 64, SEGMENT_HEAD_BYTES + 72);
  writeFileSync(segment!.path, bytes);
  at.writer.failTimes(2);
  await at.round();
  await at.round();
  expect(at.pipeline.status.lost).toBe(0);
  await at.round();
  expect(at.writer.urls).toEqual(urlRange(1, 3));
  expect(at.pipeline.status).toMatchObject({ lost: 1, adoptedLost: 0, ordinal: 3 });
  expect(at.codes()).toEqual(['STORAGE_FAILED', 'STORAGE_FAILED', 'JOURNAL_CORRUPT']);
});

test('a restarted thread knows the position of the one before', async () => {
  const directory = temporaryDirectory();
  const before: PipelineStatus = {
    opened: true,
    ordinal: 3,
    position: 0,
    adopted: 0,
    adoptedRejected: 0,
    adoptedLost: 0,
    rejected: 1,
    lost: 0,
    unhooked: 0,
    overTexts: 0,
    overKeys: {},
    pruned: 0,
    pruneError: undefined,
    error: undefined,
    journalError: undefined,
  };
  const at = pipelineOf({ directory, before, storage: { hooked: true } });
  at.append(0, 3);
  before.position = at.journal.shared.end;
  at.append(3, 4);
  // The database was restored meanwhile.
  await at.round();
  await at.round();
  expect(at.messages()).toEqual([expect.stringContaining('lost with it: 0')]);
  expect(at.writer.urls).toEqual(urlRange(0, 4));
  // The hooks had the records before.
  expect(at.hooked).toEqual(['/3']);
  expect(at.pipeline.status).toMatchObject({ rejected: -1, lost: 0, ordinal: 4 });
});

describe('a storage without transactions', () => {
  function replaying(options: Options = {}) {
    const writer = new TestWriter();
    writer.replays = true;
    return pipelineOf({ ...options, writer });
  }

  test('receives a first batch of one record, and each batch again unchanged', async () => {
    const at = replaying();
    at.append(0, 3);
    const seen: string[][] = [];
    let failures = 0;
    at.writer.apply = async (batch) => {
      seen.push(urlsOf(batch));
      if (failures-- > 0) throw new Error('offline');
      return at.writer.store(batch);
    };
    await at.round();
    expect(seen).toEqual([['/0'], ['/1', '/2']]);
    failures = 1;
    at.append(3, 5);
    await at.round();
    at.append(5, 6);
    await at.round();
    expect(seen.slice(2)).toEqual([['/3', '/4'], ['/3', '/4'], ['/5']]);
    expect(at.writer.urls).toEqual(urlRange(0, 6));
    expect(readdirSync(at.journal.path).filter((name) => name.includes('batch'))).toEqual([]);
  });

  test('receives the halves of a refused batch', async () => {
    const at = replaying();
    at.append(0, 1);
    await at.round();
    at.append(1, 5);
    at.writer.refuse('/3');
    await at.round();
    expect(at.writer.urls).toEqual(['/0', '/1', '/2', '/4']);
    expect(at.codes()).toEqual(['RECORD_REJECTED']);
    expect(at.pipeline.status).toMatchObject({ rejected: 1, ordinal: 5 });
  });

  test('receives no batch with records of both memory and a file, if batches cannot be saved', async () => {
    const at = replaying();
    const batch = `${hash('sha256', '0 test').slice(0, 16)}.batch`;
    // Nothing can be a file where a directory is.
    mkdirSync(join(at.journal.path, `${batch}.new`));
    const { journal } = openJournal(temporaryDirectory());
    for (const url of urlRange(0, 5)) journal.append(fieldsOf(url));
    const file = readFileSync(listSegments(journal.path)[0]!.path);
    const size = journal.shared.end / 5;
    for (let i = 0; i < 3; i++) {
      const begin = SEGMENT_HEAD_BYTES + i * size;
      const bytes = file.subarray(begin, begin + size);
      at.journals.own.memory.push({ start: i * size, ordinal: i, records: 1, bytes });
    }
    const rest = Buffer.concat([
      file.subarray(0, SEGMENT_HEAD_BYTES),
      file.subarray(SEGMENT_HEAD_BYTES + 3 * size),
    ]);
    writeFileSync(join(at.journal.path, segmentName(3 * size, 3)), rest);
    at.journal.shared.advance(5 * size, 5);
    await at.round();
    expect(at.writer.urls).toEqual(urlRange(0, 5));
    // The first one, the rest of the memory, and each record of the file alone.
    expect(at.writer.sizes).toEqual([1, 2, 1, 1]);
    expect(new Set(at.codes())).toEqual(new Set(['BATCH_UNWRITABLE']));
  });
});

describe('retention', () => {
  const MINUTE = 60_000;
  const HOUR = 60 * MINUTE;
  /** Maintenance that deletes `rows` records, in `took` ms per call, and the calls it received. */
  function maintenanceOf(rows = 0, took = 0) {
    const calls: string[] = [];
    const times: StorageTimes = { now: undefined, newest: undefined, retention: {} };
    let left = rows;
    const maintenance: StorageMaintenance = {
      times: async () => structuredClone(times),
      lease: async ({ ms }) => calls.push(ms === 0 ? 'release' : 'lease') > 0,
      retain: async ({ records, day }) => void calls.push(`retain ${records?.keep} ${day?.before}`),
      prune: async ({ part, limit }) => {
        clock.now += took;
        const deleted = part === 'records' ? Math.min(left, limit) : 0;
        left -= deleted;
        calls.push(`prune ${part} ${deleted}`);
        return deleted;
      },
      sweep: async () => {
        calls.push('sweep');
        return false;
      },
      erase: async () => 0,
      scrub: async () => {},
      setTimeZone: async () => true,
    };
    return { calls, maintenance, times };
  }

  test('is applied a minute after the opening and then every hour, step by step beside the batches', async () => {
    const at = pipelineOf();
    const { calls, maintenance } = maintenanceOf(1_500);
    at.writer.maintenance = maintenance;
    at.append(0, 2);
    await at.round();
    expect(calls).toEqual([]);
    clock.now += MINUTE;
    while (!calls.includes('release')) await at.round();
    expect(calls).toEqual([...['lease', 'retain forever null', 'release']]);
    expect(at.pipeline.status.pruned).toBe(0);
    clock.now += HOUR - MINUTE;
    await at.round();
    expect(calls).toHaveLength(3);
    clock.now += MINUTE;
    await at.round();
    expect(calls).toHaveLength(6);
  });

  test('a round comes between two steps, and the rows are counted', async () => {
    const at = pipelineOf({ storage: { retention: { ...KEEP_ALL, records: '90d' } } });
    const { calls, maintenance } = maintenanceOf(1_500, 200);
    at.writer.maintenance = maintenance;
    at.append(0, 1);
    await at.round();
    clock.now += MINUTE;
    let next = 1;
    const { apply } = at.writer;
    at.writer.apply = async (batch) => {
      calls.push('apply');
      return apply(batch);
    };
    // Each step takes longer than a pause, and records arrive meanwhile.
    const { prune } = maintenance;
    maintenance.prune = async (request) => {
      at.append(next, next + 1);
      next += 1;
      return prune(request);
    };
    while (!calls.includes('release')) await at.round();
    await at.round();
    const deleting = calls.filter((call) => call === 'apply' || call.startsWith('prune records'));
    expect(deleting.join()).toMatch(/prune records 1000,(apply,)+prune records 500/);
    expect(at.pipeline.status.pruned).toBe(1_500);
    expect(calls.filter((call) => call !== 'apply').slice(-2)).toEqual(['sweep', 'release']);
    expect(at.writer.urls).toEqual(urlRange(0, next));
  });

  test('a failed deletion is reported and repeated later, while records are stored', async () => {
    const at = pipelineOf({ storage: { retention: { ...KEEP_ALL, hour: '90d' } } });
    const { calls, maintenance } = maintenanceOf();
    const { prune } = maintenance;
    maintenance.prune = async () => {
      throw new Error('no right to delete');
    };
    at.writer.maintenance = maintenance;
    await at.round();
    clock.now += MINUTE;
    at.append(0, 2);
    await at.round();
    await at.round();
    expect(at.messages()).toEqual(['cannot delete expired data from test: no right to delete']);
    expect(at.codes()).toEqual(['PRUNE_FAILED']);
    expect(at.pipeline.status.error).toBeUndefined();
    expect(at.writer.urls).toEqual(urlRange(0, 2));
    // The lease has ended, so that another process can try.
    expect(calls.at(-1)).toBe('release');
    maintenance.prune = prune;
    clock.now += 5 * MINUTE;
    await at.round();
    expect(calls).toContain('prune hour 0');
    expect(at.codes()).toHaveLength(1);
  });

  describe('with a wrong clock', () => {
    const DAY = 24 * HOUR;
    const RETENTION: Retention = { ...KEEP_ALL, records: '90d' };
    const midnight = (ms: number) => Math.floor(ms / DAY) * DAY;

    async function opened(change: (times: StorageTimes, now: number) => void) {
      const at = pipelineOf({ storage: { retention: RETENTION } });
      const { calls, maintenance, times } = maintenanceOf();
      at.writer.maintenance = maintenance;
      const kept: unknown[] = [];
      maintenance.retain = async (...given) => void kept.push(...given);
      let now = Date.UTC(2026, 10, 24, 12);
      const wall = vi.spyOn(wallClock, 'now').mockImplementation(() => now);
      onTestFinished(() => wall.mockRestore());
      change(times, now);
      await at.round();
      /** Lets time pass, and runs what is due. */
      const pass = async (ms: number) => {
        now += ms;
        clock.now += ms;
        await at.round();
        await at.round();
      };
      return { at, calls, kept, times, pass, now: () => now };
    }

    test('deletes little until the clock has run for a day, which is reported once', async () => {
      const first = Date.UTC(2017, 0, 1);
      const { at, pass, now, times } = await opened((found) => {
        found.retention = { records: { keep: '90d', before: first } };
      });
      const maintenance = at.writer.maintenance!;
      const starts: number[] = [];
      maintenance.retain = async (retention) => {
        starts.push(retention.records!.before!);
        times.retention = retention;
      };
      await pass(MINUTE);
      expect(at.codes()).toEqual(['PRUNE_DELAYED']);
      expect(at.messages()).toEqual([
        expect.stringContaining(
          'the clock says 2026-11-24T12:01:00+00:00, but the last deletion or record dates from 2017-',
        ),
      ]);
      await pass(2 * HOUR);
      expect(starts).toEqual([]);
      for (let hour = 3; hour < 24; hour++) await pass(HOUR);
      expect(starts).toEqual([1, 2, 3, 4, 5, 6].map((step) => first + step * DAY));
      expect(at.pipeline.status.pruneError).toMatchObject({ code: 'PRUNE_DELAYED' });
      await pass(HOUR);
      expect(starts.slice(6)).toEqual([midnight(now() - 90 * DAY)]);
      expect(at.pipeline.status.pruneError).toBeUndefined();
      expect(at.codes()).toHaveLength(1);
    });

    test('waits longer if another process deletes', async () => {
      const { at, kept, pass, times } = await opened((found, begin) => {
        found.retention = { records: { keep: '90d', before: midnight(begin - 3_650 * DAY) } };
      });
      const { before } = times.retention.records!;
      await pass(MINUTE);
      for (let hour = 1; hour < 23; hour++) {
        if (hour % 2 === 0) times.retention = { records: { keep: '90d', before: before! + hour * DAY } };
        await pass(HOUR);
      }
      expect(kept).toEqual([]);
      expect(at.codes()).toEqual(['PRUNE_DELAYED']);
    });

    test('own records do not make it plausible', async () => {
      const { at, kept, pass, times, now } = await opened((times, begin) => {
        times.newest = begin - 30 * DAY;
      });
      times.newest = now();
      await pass(MINUTE);
      expect(at.codes()).toEqual(['PRUNE_DELAYED']);
      expect(kept).toEqual([]);
    });

    test('deletes what has expired by the clock of the server, which is reported once', async () => {
      const { at, kept, pass, times, now } = await opened((times, begin) => {
        times.now = begin - 3_650 * DAY;
      });
      await pass(MINUTE);
      await pass(HOUR);
      expect(at.messages()).toEqual(['the clock of this process is 87,600 hours ahead of the clock of test']);
      expect(at.codes()).toEqual(['CLOCK_AHEAD']);
      const [first] = kept as [StoredRetention];
      expect(first.records!.before).toBe(midnight(times.now! - 90 * DAY));
      times.now = now();
      await pass(HOUR);
      expect(kept.at(-1)).toMatchObject({ records: { before: midnight(now() - 90 * DAY) } });
    });

    test('a start of the kept data in the future is moved back, which is reported', async () => {
      const { at, kept, pass, now } = await opened((times, begin) => {
        times.retention = { records: { keep: '90d', before: begin + 3_650 * DAY } };
      });
      await pass(MINUTE);
      expect(kept).toMatchObject([
        { records: { keep: '90d', before: now() } },
        true,
        { records: { keep: '90d', before: midnight(now() - 90 * DAY) } },
      ]);
      expect(at.codes()).toEqual(['RETENTION_CORRECTED']);
    });
  });

  test('stopping ends a deletion in progress and its lease', async () => {
    const at = pipelineOf({ storage: { retention: { ...KEEP_ALL, records: '90d' } } });
    const { calls, maintenance } = maintenanceOf(1_000_000, 200);
    at.writer.maintenance = maintenance;
    await at.round();
    clock.now += MINUTE;
    const begun = Promise.withResolvers<void>();
    const { prune } = maintenance;
    maintenance.prune = async (request) => {
      begun.resolve();
      return prune(request);
    };
    clock.timers.shift()!.run();
    await begun.promise;
    await at.stop(false);
    expect(calls.filter((call) => call.startsWith('prune'))).toEqual(['prune records 1000']);
    expect(calls.at(-1)).toBe('release');
    expect(at.writer.closed).toBe(1);
  });
});

describe('budgets', () => {
  test('a batch is admitted before it is saved, and the summaries without room are reported', async () => {
    const at = pipelineOf();
    at.writer.replays = true;
    at.writer.admit = async (batch) => {
      batch.records.overBudget.add('urls');
      return { ...batch, deltas: [] };
    };
    at.writer.failTimes(1);
    const applied: Batch['deltas'][] = [];
    const { apply } = at.writer;
    at.writer.apply = async (batch) => {
      applied.push(batch.deltas);
      return apply(batch);
    };
    at.append(0, 1);
    await at.round();
    // The saved batch is repeated as it was admitted.
    at.writer.admit = async () => expect.unreachable('a saved batch is admitted again');
    await at.round();
    expect(applied).toEqual([[], []]);
    expect(at.writer.urls).toEqual(urlRange(0, 1));
  });

  test('the time at which a key budget was reached is in the status', async () => {
    const at = pipelineOf();
    at.writer.admit = async (batch) => {
      batch.records.overBudget.add('urls');
      return batch;
    };
    at.append(0, 1);
    const before = Date.now();
    await at.round();
    const { overKeys } = at.pipeline.status;
    expect(Object.keys(overKeys)).toEqual(['urls']);
    expect(overKeys.urls).toBeGreaterThanOrEqual(before);
  });

  test('texts beyond the budget of the hour become empty, and are counted', async () => {
    // One text is the URL of each record; the others are the same for all of them.
    const at = pipelineOf({ storage: { maxTexts: 5 } });
    at.append(0, 20);
    await at.round();
    const { urls } = at.writer;
    expect(urls).toHaveLength(20);
    const kept = urls.filter((url) => url !== '');
    expect(kept).toEqual(urlRange(0, kept.length));
    expect(kept.length).toBeLessThanOrEqual(5);
    expect(at.pipeline.status.overTexts).toBe(20 - kept.length);
  });

  test('a database that was dropped before anything was stored is created again if admitting a batch fails', async () => {
    const at = pipelineOf();
    let exists = false;
    at.writer.replays = true;
    at.writer.admit = async (batch) => {
      if (!exists) throw new Error('no such table');
      return batch;
    };
    at.writer.resume = async () => {
      exists = true;
      return false;
    };
    at.append(0, 2);
    for (let rounds = 0; rounds < 3; rounds++) await at.round();
    expect(at.codes()).toEqual(['STORAGE_FAILED']);
    expect(at.writer.urls).toEqual(urlRange(0, 2));
  });
});
