import { join } from 'node:path';
import type { Adopted, Applied } from './processes/store.ts';
import { Child } from './support/child.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, spread, table } from './support/figures.ts';
import { writeJournal } from './support/journal.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { ENGINES, type Engine, engineOf } from './support/storages.ts';
import { traffic } from './support/traffic.ts';

interface Stored {
  adopted: Adopted;
  applied: Applied;
  /** Size of the storage on disk. */
  bytes: number;
}

const STORE = join(import.meta.dirname, 'processes', 'store.ts');
const STORE_PER_REQUEST = join(import.meta.dirname, 'processes', 'store-per-request.ts');

/**
 * Measures how fast the writer stores a dead process's journal in each storage, whose server uses the same
 * cores.
 */
export async function run({ quick, storage, rounds = quick ? 1 : 3 }: BenchOptions): Promise<Report> {
  const records = quick ? 100_000 : 1_000_000;
  const engines = storage === undefined ? ENGINES : [engineOf(storage)];
  const data: Record<string, Stored[]> = {};
  const perRequest: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const engine of engines) {
      progress(`storages: round ${round} of ${rounds}, ${engine.name}`);
      const stored = data[engine.name] ?? [];
      stored.push(await measure(engine, Math.min(records, engine.maxRecords ?? records)));
      data[engine.name] = stored;
    }
    if (engines.some(({ name }) => name === 'postgres')) {
      progress(`storages: round ${round} of ${rounds}, one transaction per request`);
      perRequest.push(await measurePerRequest(quick ? 1_000 : 10_000));
    }
  }
  return {
    title: 'Storages',
    method:
      `${integer(records)} records of one day, fewer where the table says so (10,000 URLs and 20,000 visitors, Zipf ` +
      'distribution), are stored from a journal on disk in each storage with seven summaries. The database server shares ' +
      'the cores. "Storage only" measures the storage; "full pipeline" includes decoding, geolocation, user agents ' +
      `and folding. Rounds: ${rounds}, alternating. Median (min–max).`,
    tables: [
      { title: 'Records and seven summaries', text: tableOf(data) },
      ...(perRequest.length > 0
        ? [{ title: 'One transaction per request', text: perRequestTable(perRequest) }]
        : []),
    ],
    data: { ...data, perRequest },
  };
}

async function measure(engine: Engine, records: number): Promise<Stored> {
  const { result: applied } = await inChild<Applied>(engine, records, 'apply');
  const { result: adopted, bytes } = await inChild<Adopted>(engine, records, 'adopt');
  return { adopted, applied, bytes };
}

/** Runs in a separate process, with its own directory and database. */
async function inChild<T extends { records: number }>(
  engine: Engine,
  records: number,
  method: 'adopt' | 'apply',
): Promise<{ result: T; bytes: number }> {
  const directory = newDirectory();
  const database = await engine.start(directory);
  const child = new Child(STORE);
  try {
    const { url } = database;
    const { identity } = await engine.storage(url, []);
    const journal = await writeJournal(directory, identity, traffic(records, 'zipf'));
    const result = await child.call<T>(method, { directory, journal, engine: engine.name, url });
    if (result.records !== records) throw new Error(`${result.records} of ${records} records were stored`);
    return { result, bytes: await database.bytes() };
  } finally {
    await child.stop();
    await database.stop();
    removeDirectory(directory);
  }
}

/** Measures Flask-Track-Usage's method on the same PostgreSQL, in requests per second. */
async function measurePerRequest(requests: number): Promise<number> {
  const directory = newDirectory();
  const database = await engineOf('postgres').start(directory);
  const child = new Child(STORE_PER_REQUEST);
  try {
    return requests / (await child.call<number>('store', { url: database.url, count: requests }));
  } finally {
    await child.stop();
    await database.stop();
    removeDirectory(directory);
  }
}

function perRequestTable(results: readonly number[]): string {
  const label = 'PostgreSQL: one row and 15 upserts per transaction';
  return table(['', 'requests/s'], [[label, spread(results, integer)]]);
}

function tableOf(data: Record<string, Stored[]>): string {
  const rows = Object.entries(data).map(([name, list]) => {
    const of = (figure: (stored: Stored) => number, show: (value: number) => string) =>
      spread(list.map(figure), show);
    return [
      name,
      integer(list[0]!.applied.records),
      of(({ applied }) => applied.records / applied.seconds, integer),
      of(({ adopted }) => adopted.records / adopted.seconds, integer),
      of(({ adopted }) => adopted.cpu / adopted.records, decimals(1)),
      of(({ adopted }) => adopted.peakRss / 1e6, integer),
      of(({ bytes, adopted }) => bytes / adopted.records, integer),
    ];
  });
  return table(
    [
      '',
      'records',
      'storage only, records/s',
      'full pipeline, records/s',
      'app CPU, µs/record',
      'app peak RSS, MB',
      'MB/million records',
    ],
    rows,
  );
}
