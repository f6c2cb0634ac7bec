import { join } from 'node:path';
import type { Written } from './processes/store-sqlite.ts';
import { Child } from './support/child.ts';
import { newDirectory, removeDirectory } from './support/directory.ts';
import { decimals, integer, spread, table } from './support/figures.ts';
import { writeJournal } from './support/journal.ts';
import { library } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { type Kind, traffic } from './support/traffic.ts';

const STORE_SQLITE = join(import.meta.dirname, 'processes', 'store-sqlite.ts');
const KINDS: Record<Kind, string> = {
  zipf: '10,000 URLs and 20,000 visitors, Zipf distribution',
  urls: 'The same visitors, distinct URLs',
  distinct: 'Distinct URLs and visitors',
};

interface Result {
  ours: Written;
  ceiling: Written;
}

/** Measures how fast the writer stores the journal of a dead process. */
export async function run({ quick, rounds = quick ? 1 : 3 }: BenchOptions): Promise<Report> {
  const records = quick ? 50_000 : 1_000_000;
  const data: Record<Kind, Result[]> = { zipf: [], urls: [], distinct: [] };
  for (let round = 1; round <= rounds; round++) {
    for (const kind of Object.keys(KINDS) as Kind[]) {
      progress(`writer: round ${round} of ${rounds}, ${kind}`);
      const ours = await inChild(records, async (child, directory) =>
        child.call<Written>('adopt', {
          directory,
          journal: await abandonedJournal(directory, records, kind),
        }),
      );
      const ceiling = await inChild(records, (child, directory) =>
        child.call<Written>('insert', { directory, records, kind }),
      );
      data[kind].push({ ours, ceiling });
    }
  }
  return {
    title: 'Writer',
    method:
      `${integer(records)} records of one day are stored from a journal on disk in SQLite with seven summaries, ` +
      'including geolocation and user agents. For comparison, the same records are inserted into one table without an ' +
      `index. Rounds: ${rounds}, alternating. Median (min–max).`,
    tables: (Object.keys(KINDS) as Kind[]).map((kind) => ({
      title: KINDS[kind],
      text: tableOf(data[kind]),
    })),
    data,
  };
}

/** Runs in a separate process, with its own directory. */
async function inChild(
  records: number,
  measure: (child: Child, directory: string) => Promise<Written>,
): Promise<Written> {
  const directory = newDirectory();
  const child = new Child(STORE_SQLITE);
  try {
    const written = await measure(child, directory);
    if (written.records !== records) throw new Error(`${written.records} of ${records} records were stored`);
    return written;
  } finally {
    await child.stop();
    removeDirectory(directory);
  }
}

async function abandonedJournal(directory: string, records: number, kind: Kind): Promise<string> {
  const { SqliteStorage } = await library();
  const { identity } = new SqliteStorage(join(directory, 'usage.db'));
  return writeJournal(directory, identity, traffic(records, kind));
}

function tableOf(results: readonly Result[]): string {
  const row = (title: string, pick: (result: Result) => Written, ratio: string) => {
    const list = results.map(pick);
    const of = (figure: (written: Written) => number, show: (value: number) => string) =>
      spread(list.map(figure), show);
    return [
      title,
      of(({ records, seconds }) => records / seconds, integer),
      ratio,
      of(({ cpu, records }) => cpu / records, decimals(1)),
      of(({ peakRss }) => peakRss / 1e6, integer),
      of(({ bytes, records }) => bytes / records, integer),
    ];
  };
  const ratios = results.map(({ ours, ceiling }) => ceiling.seconds / ours.seconds);
  return table(
    ['', 'records/s', 'ratio', 'CPU, µs/record', 'peak RSS, MB', 'database, MB/million records'],
    [
      row('track-usage', ({ ours }) => ours, spread(ratios, decimals(2))),
      // Its rows are in memory beforehand, so its memory size is not comparable.
      row('one table, plain inserts', ({ ceiling }) => ceiling, '1').with(4, '–'),
    ],
  );
}
