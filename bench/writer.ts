import { join } from 'node:path';
import { Child } from './support/child.ts';
import { decimals, spread, table, whole } from './support/figures.ts';
import { writeJournal } from './support/journal.ts';
import { library } from './support/library.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { newDirectory, removeDirectory } from './support/place.ts';
import { type Kind, traffic } from './support/traffic.ts';
import type { Written } from './writing.ts';

const WRITING = join(import.meta.dirname, 'writing.ts');
const KINDS: Record<Kind, string> = {
  zipf: '10,000 URLs and 20,000 visitors, few of them most of it',
  urls: 'The same visitors, no URL comes twice',
  distinct: 'No URL and no visitor comes twice',
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
        child.ask<Written>('adopt', { directory, journal: await leftBehind(directory, records, kind) }),
      );
      const ceiling = await inChild(records, (child, directory) =>
        child.ask<Written>('insert', { directory, records, kind }),
      );
      data[kind].push({ ours, ceiling });
    }
  }
  return {
    title: 'The writer',
    method:
      `${whole(records)} records of one day, from a journal on disk into SQLite with seven summaries, geography ` +
      `and user agents included, beside the same records inserted into one table without an index. Rounds: ` +
      `${rounds}, alternating. Median (min–max).`,
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
  what: (child: Child, directory: string) => Promise<Written>,
): Promise<Written> {
  const directory = newDirectory();
  const child = new Child(WRITING);
  try {
    const written = await what(child, directory);
    if (written.records !== records) throw new Error(`${written.records} of ${records} records were stored`);
    return written;
  } finally {
    await child.stop();
    removeDirectory(directory);
  }
}

async function leftBehind(directory: string, records: number, kind: Kind): Promise<string> {
  const { SqliteStorage } = await library();
  const { identity } = new SqliteStorage(join(directory, 'usage.db'));
  return writeJournal(directory, identity, traffic(records, kind));
}

function tableOf(results: readonly Result[]): string {
  const row = (title: string, pick: (result: Result) => Written, share: string) => {
    const list = results.map(pick);
    const of = (figure: (written: Written) => number, show: (value: number) => string) =>
      spread(list.map(figure), show);
    return [
      title,
      of(({ records, seconds }) => records / seconds, whole),
      share,
      of(({ cpu, records }) => cpu / records, decimals(1)),
      of(({ peakRss }) => peakRss / 1e6, whole),
      of(({ bytes, records }) => bytes / records, whole),
    ];
  };
  const shares = results.map(({ ours, ceiling }) => ceiling.seconds / ours.seconds);
  return table(
    ['', 'records/s', 'share', 'CPU, µs/record', 'peak RSS, MB', 'database, MB/million'],
    [
      row('track-usage', ({ ours }) => ours, spread(shares, decimals(2))),
      // Its rows are in memory beforehand, so its memory size is not comparable.
      row('one table, plain inserts', ({ ceiling }) => ceiling, '1').with(4, '–'),
    ],
  );
}
