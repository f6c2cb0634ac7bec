/** Process that stores a journal, or inserts the same records into a single table. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import { handleCalls } from '../support/child.ts';
import { ALL_HOOKS, library, onError } from '../support/library.ts';
import { type Kind, traffic } from '../support/traffic.ts';

/** CPU time in µs. */
export interface Written {
  seconds: number;
  cpu: number;
  /** Maximum resident set size of the process. In bytes. */
  peakRss: number;
  /** Size of the database, after a checkpoint. */
  bytes: number;
  /** Number of records in it. */
  records: number;
}

const BATCH = 20_000;
const FILE = 'usage.db';

handleCalls({
  /** Adopts the dead journal in `directory`. Its storage is the database in the same directory. */
  async adopt({ directory, journal }: { directory: string; journal: string }): Promise<Written> {
    const { TrackUsage, SqliteStorage, sumServer } = await library();
    const file = join(directory, FILE);
    const measured = stopwatch();
    const usage = new TrackUsage(undefined, new SqliteStorage(file, { hooks: ALL_HOOKS }), {
      journal: { dir: join(directory, 'journal'), maxBytes: 64 * 1024 ** 3 },
      onError,
    });
    // A journal is deleted when all of it is stored.
    while (existsSync(journal)) await sleep(5);
    const result = measured();
    const months = await usage.getSum(sumServer, { period: 'month', limit: 0 });
    await usage.close();
    const records = count(file, 'records');
    const hits = months.reduce((sum, row) => sum + row.hits, 0);
    if (hits !== records) throw new Error(`${records} records were stored, and ${hits} hits`);
    return { ...result, bytes: checkpointed(file), records };
  },

  /** Inserts the same records into one table without an index, which is the upper limit of speed. */
  insert({ directory, records, kind }: { directory: string; records: number; kind: Kind }): Written {
    const file = join(directory, FILE);
    // Prepared in advance, so that only inserting is measured.
    const rows = Array.from(traffic(records, kind), rowOf);
    const measured = stopwatch();
    const database = new DatabaseSync(file);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000');
    database.exec(`CREATE TABLE records (${COLUMNS.join(', ')})`);
    const insert = database.prepare(`INSERT INTO records VALUES (${COLUMNS.map(() => '?').join(', ')})`);
    for (let at = 0; at < rows.length; at += BATCH) {
      database.exec('BEGIN');
      for (const row of rows.slice(at, at + BATCH)) insert.run(...row);
      database.exec('COMMIT');
    }
    const result = measured();
    database.close();
    return { ...result, bytes: checkpointed(file), records: count(file, 'records') };
  },
});

type Row = (string | number | null)[];

const COLUMNS = [
  ...['date', 'site', 'server_name', 'method', 'url', 'route', 'protocol', 'status', 'content_length'],
  ...[
    'duration',
    'remote_addr',
    'forwarded_for',
    'user_agent',
    'language',
    'referrer',
    'username',
    'visitor',
  ],
  ...['country', 'blueprint', 'extra'],
];

function rowOf(fields: CapturedFields): Row {
  const orNull = (text: string) => (text === '' ? null : text);
  return [
    fields.date,
    'default',
    'default',
    fields.method,
    fields.url,
    fields.route,
    fields.protocol,
    fields.status,
    fields.contentLength,
    fields.duration,
    fields.remoteAddr,
    orNull(fields.forwardedFor),
    fields.agent,
    fields.acceptLanguage.slice(0, 2),
    orNull(fields.referrer),
    orNull(fields.username),
    fields.visitor,
    'ZZ',
    orNull(fields.blueprint),
    orNull(fields.extra),
  ];
}

function stopwatch(): () => Pick<Written, 'seconds' | 'cpu' | 'peakRss'> {
  const started = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return {
      seconds: (performance.now() - started) / 1000,
      cpu: user + system,
      peakRss: process.resourceUsage().maxRSS * 1024,
    };
  };
}

function checkpointed(file: string): number {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  return statSync(file).size;
}

function count(file: string, table: string): number {
  const database = new DatabaseSync(file);
  const { n } = database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
  database.close();
  return n;
}
