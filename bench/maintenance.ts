import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordBatch } from '../src/batch.ts';
import type { Person, WriterContext } from '../src/storage/contract.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, median, table, timed } from './support/figures.ts';
import { load } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { Simulation } from './support/simulation.ts';
import { type Engine, engineOf, openWriter } from './support/storages.ts';

const DAY = 24 * 60 * 60 * 1000;
const ENGINES = ['sqlite', 'postgres'];
const HOOKS = ['urls', 'remotes', 'user-agents', 'visitors'];
/** Number of days before today of the first and the last record, and of those that are kept. */
const FIRST = 70;
const LAST = 10;
const KEPT = 40;
/** Number of records per batch of the writer under load, and of batches without pruning. */
const BATCH = 2_000;
const BATCHES = 200;
/** The person to delete. */
const ADDRESS = '198.51.100.77';
const VISITOR = 'f0e1d2c3b4a5968778695a4b3c2d1e0f';
const NAME = 'Maria Musterfrau';

type Parts = typeof import('../src/maintenance/forget.ts') &
  typeof import('../src/storage/prune.ts') &
  typeof import('../src/storage/prune-plan.ts') &
  typeof import('../src/summaries/fold.ts') &
  typeof import('../src/summaries/periods.ts');

interface Result {
  records: number;
  /** Duration of batches without pruning, of pruning steps, and of the batch after each step, in ms. */
  alone: number[];
  steps: number[];
  beside: number[];
  /** Number of deleted rows. */
  pruned: number;
  /** Time to delete the person, in s. */
  forgotten: number;
  /** Files of the database that still contain the person, if they can be read. */
  found: string[];
}

/** Measures batches during pruning, and the deletion of a person, in a database of a million records. */
export async function run({ quick, storage }: BenchOptions): Promise<Report> {
  const engines = storage === undefined ? ENGINES : [engineOf(storage).name];
  const perDay = quick ? 500 : 16_667;
  const data: Record<string, Result> = {};
  for (const name of engines) data[name] = await measure(engineOf(name), perDay);
  return {
    title: 'Maintenance',
    method:
      `${integer((FIRST - LAST) * perDay)} records over ${FIRST - LAST} days, with four summaries. First, ${BATCHES} batches ` +
      `of ${integer(BATCH)} new records are stored without a pause. Then everything older than ${KEPT} days is deleted, and ` +
      'such a batch is stored after each step. A batch waits for at most one step. Finally, a person ' +
      'is deleted: 300 records on 10 days, by address, by visitor ID and by user name. Median, 99th percentile and maximum.',
    tables: [{ title: 'Pruning and deletion of a person', text: tableOf(data) }],
    data,
  };
}

async function measure(engine: Engine, perDay: number): Promise<Result> {
  const files = [
    'maintenance/forget.js',
    'storage/prune.js',
    'storage/prune-plan.js',
    'summaries/fold.js',
    'summaries/periods.js',
  ];
  const parts: Parts = Object.assign({}, ...(await Promise.all(files.map((file) => load(file)))));
  const zone = parts.calendar('UTC');
  const directory = newDirectory();
  const database = await engine.start(directory);
  try {
    const storage = await engine.storage(database.url, HOOKS, {
      retention: { records: `${KEPT}d`, hour: `${KEPT}d` },
    });
    const { retention, maxKeys, summaries } = storage;
    const context: WriterContext = { site: 'default', timeZone: 'UTC', durable: false, retention, maxKeys };
    const writer = await openWriter(storage, context);
    const { maintenance } = writer;
    if (!maintenance) throw new Error(`${engine.name} deletes nothing`);
    const simulation = new Simulation(perDay);
    const small = new Simulation(BATCH);
    const today = zone.dayOf(Date.now());
    let position = 0;
    const store = async (records: RecordBatch): Promise<void> => {
      const batch = {
        journal: 'bench',
        from: { position, ordinal: position },
        to: { position: ++position, ordinal: position },
        records,
        deltas: parts.fold(records, summaries, zone),
      };
      const admitted = (await writer.admit?.(batch)) ?? batch;
      if (!(await writer.apply(admitted))) throw new Error(`${engine.name} refused a batch`);
    };
    const result: Result = {
      records: 0,
      alone: [],
      steps: [],
      beside: [],
      pruned: 0,
      forgotten: 0,
      found: [],
    };
    for (let age = FIRST; age > LAST; age--) {
      const records = simulation.day(FIRST - age, today - age * DAY, DAY);
      if (age <= LAST + 10) addPerson(records);
      result.records += records.length;
      await store(records);
    }
    progress(`maintenance: ${engine.name}, ${integer(result.records)} records`);
    let day = FIRST;
    const storeNew = () => store(small.day(day++, today, DAY));
    for (let i = 0; i < BATCHES; i++) result.alone.push(await timed(storeNew));
    const { plan } = parts.planPruning(retention, zone, Date.now(), await maintenance.times());
    const steps = parts.pruneSteps(maintenance, plan, randomUUID());
    for (;;) {
      const begin = performance.now();
      const { done, value } = await steps.next();
      if (done) break;
      result.steps.push(performance.now() - begin);
      result.beside.push(await timed(storeNew));
      result.pruned += value.rows;
    }
    progress(`maintenance: ${engine.name}, ${integer(result.pruned)} rows deleted`);
    await writer.close();
    const people: Person[] = [
      { column: 'remoteAddr', value: ADDRESS },
      { column: 'visitor', value: VISITOR },
      { column: 'username', value: NAME },
    ];
    let records = 0;
    result.forgotten =
      (await timed(async () => {
        for (const person of people) records += (await parts.forget({ storage, person })).records;
      })) / 1000;
    if (records !== 300) throw new Error(`${engine.name} deleted ${records} records instead of 300`);
    await storage.close();
    result.found = readdirSync(directory).filter((name) => {
      const content = readFileSync(join(directory, name));
      return [ADDRESS, VISITOR, NAME].some((text) => content.includes(text));
    });
    return result;
  } finally {
    await database.stop();
    removeDirectory(directory);
  }
}

/** Makes 30 of the records those of the person. */
function addPerson(records: RecordBatch): void {
  const { text } = records;
  const [address, visitor, name] = [ADDRESS, VISITOR, NAME].map((each) => records.intern(each));
  for (let n = 0; n < 30; n++) {
    const i = Math.floor((n * records.length) / 30);
    text.remoteAddr[i] = address!;
    text.visitor[i] = visitor!;
    text.username[i] = name!;
  }
}

function tableOf(data: Record<string, Result>): string {
  const ms = decimals(0);
  const spread = (values: readonly number[]): string => {
    const sorted = values.toSorted((a, b) => a - b);
    const p99 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))]!;
    return `${ms(median(sorted))} / ${ms(p99)} / ${ms(sorted.at(-1)!)}`;
  };
  return table(
    [
      '',
      'batch, ms',
      'pruning step, ms',
      'batch after a step, ms',
      'rows deleted',
      'three deletions, s',
      'files with the person',
    ],
    Object.entries(data).map(([name, { alone, steps, beside, pruned, forgotten, found }]) => [
      name,
      spread(alone),
      spread(steps),
      spread(beside),
      integer(pruned),
      decimals(1)(forgotten),
      name === 'sqlite' ? String(found.length) : '–',
    ]),
  );
}
