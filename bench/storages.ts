import { join } from 'node:path';
import type { Adopted, Applied } from './storing.ts';
import { Child } from './support/child.ts';
import { decimals, spread, table, whole } from './support/figures.ts';
import { writeJournal } from './support/journal.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { newDirectory, removeDirectory } from './support/place.ts';
import { ENGINES, type Engine, engineOf } from './support/storages.ts';
import { traffic } from './support/traffic.ts';

interface Stored {
  adopted: Adopted;
  applied: Applied;
  /** Size of the storage on disk. */
  bytes: number;
}

const STORING = join(import.meta.dirname, 'storing.ts');
const ONE_BY_ONE = join(import.meta.dirname, 'one-by-one.ts');

/**
 * Measures how fast the writer stores a dead process's journal in each storage, whose server uses the same
 * cores.
 */
export async function run({ quick, storage, rounds = quick ? 1 : 3 }: BenchOptions): Promise<Report> {
  const records = quick ? 100_000 : 1_000_000;
  const engines = storage === undefined ? ENGINES : [engineOf(storage)];
  const data: Record<string, Stored[]> = {};
  const single: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const engine of engines) {
      progress(`storages: round ${round} of ${rounds}, ${engine.name}`);
      const stored = data[engine.name] ?? [];
      stored.push(await measure(engine, Math.min(records, engine.most ?? records)));
      data[engine.name] = stored;
    }
    if (engines.some(({ name }) => name === 'postgres')) {
      progress(`storages: round ${round} of ${rounds}, one by one`);
      single.push(await oneByOne(quick ? 1_000 : 10_000));
    }
  }
  return {
    title: 'The storages',
    method:
      `${whole(records)} records (where the table says so, fewer) of one day (10,000 URLs and 20,000 visitors, few of them most of it), from a ` +
      `journal on disk into each storage with seven summaries; its server on the same cores. "stored" is what the ` +
      `storage alone takes, "whole way" has decoding, geography, user agents and folding too. Rounds: ${rounds}, alternating. Median (min–max).`,
    tables: [
      { title: 'Records and seven summaries', text: tableOf(data) },
      ...(single.length > 0 ? [{ title: 'One by one', text: tableOfSingle(single) }] : []),
    ],
    data: { ...data, single },
  };
}

async function measure(engine: Engine, records: number): Promise<Stored> {
  const { answer: applied } = await inChild<Applied>(engine, records, 'apply');
  const { answer: adopted, bytes } = await inChild<Adopted>(engine, records, 'adopt');
  return { adopted, applied, bytes };
}

/** Runs in a separate process, with its own directory and database. */
async function inChild<T extends { records: number }>(
  engine: Engine,
  records: number,
  method: 'adopt' | 'apply',
): Promise<{ answer: T; bytes: number }> {
  const directory = newDirectory();
  const place = await engine.start(directory);
  const child = new Child(STORING);
  try {
    const { url } = place;
    const { identity } = await engine.storage(url, []);
    const journal = await writeJournal(directory, identity, traffic(records, 'zipf'));
    const answer = await child.ask<T>(method, { directory, journal, engine: engine.name, url });
    if (answer.records !== records) throw new Error(`${answer.records} of ${records} records were stored`);
    return { answer, bytes: await place.bytes() };
  } finally {
    await child.stop();
    await place.stop();
    removeDirectory(directory);
  }
}

/** Measures Flask-Track-Usage's method on the same PostgreSQL, in requests per second. */
async function oneByOne(requests: number): Promise<number> {
  const directory = newDirectory();
  const place = await engineOf('postgres').start(directory);
  const child = new Child(ONE_BY_ONE);
  try {
    return requests / (await child.ask<number>('store', { url: place.url, count: requests }));
  } finally {
    await child.stop();
    await place.stop();
    removeDirectory(directory);
  }
}

function tableOfSingle(single: readonly number[]): string {
  const way = 'PostgreSQL, a transaction a request: a row and 15 upserts';
  return table(['', 'requests/s'], [[way, spread(single, whole)]]);
}

function tableOf(data: Record<string, Stored[]>): string {
  const rows = Object.entries(data).map(([name, list]) => {
    const of = (figure: (stored: Stored) => number, show: (value: number) => string) =>
      spread(list.map(figure), show);
    return [
      name,
      whole(list[0]!.applied.records),
      of(({ applied }) => applied.records / applied.seconds, whole),
      of(({ adopted }) => adopted.records / adopted.seconds, whole),
      of(({ adopted }) => adopted.cpu / adopted.records, decimals(1)),
      of(({ adopted }) => adopted.peakRss / 1e6, whole),
      of(({ bytes, adopted }) => bytes / adopted.records, whole),
    ];
  });
  return table(
    [
      '',
      'records',
      'stored/s',
      'whole way/s',
      'CPU of the app, µs/record',
      'peak RSS of the app, MB',
      'MB/million',
    ],
    rows,
  );
}
