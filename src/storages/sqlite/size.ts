import type { DatabaseSync } from 'node:sqlite';
import { monotonicClock } from '../../platform/clock.ts';
import type { PartSize, StorageSize } from '../../storage/contract.ts';
import { unknownSize } from '../../storage/size.ts';
import { PERIOD_NAMES } from '../sql/views.ts';

/** Time after which the tables that were not measured yet are left out. In ms. */
const MAX_TIME = 5_000;

/** Tables and indexes of each part. The first table has the rows of the part. */
const PARTS = {
  records: ['records'],
  hour: [PERIOD_NAMES.hour],
  day: [PERIOD_NAMES.day],
  month: [PERIOD_NAMES.month],
  texts: ['strings', 'agents', 'endpoints'],
} as const;
/** Tables without a separate index. Their rows are in all pages of the tree; those of others only in the leaves. */
const WITHOUT_ROWID: ReadonlySet<string> = new Set(Object.values(PERIOD_NAMES));

interface Page {
  pagetype: string;
  ncell: number;
  pgsize: number;
}

/** Returns the size of a database, by reading the header of each page. */
export function sizeOf(database: DatabaseSync): StorageSize {
  const end = monotonicClock.now() + MAX_TIME;
  const size = unknownSize();
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get()!)[0]);
  const page = pragma('page_size');
  size.free = pragma('freelist_count') * page;
  size.total = pragma('page_count') * page;
  for (const [part, tables] of Object.entries(PARTS)) {
    const found = partOf(database, tables, end);
    if (!found) break;
    size[part as keyof typeof PARTS] = found;
  }
  return size;
}

/** Returns the size of a part, or `undefined` if measuring takes too long. */
function partOf(database: DatabaseSync, tables: readonly string[], end: number): PartSize | undefined {
  const indexes = database.prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?");
  const part = { rows: 0, bytes: 0, indexes: 0 };
  for (const table of tables) {
    const own = treeOf(database, table, end);
    if (!own) return undefined;
    part.bytes += own.bytes;
    if (table === tables[0]) part.rows = own.rows;
    // The index of a table without row IDs is the table itself.
    for (const { name } of WITHOUT_ROWID.has(table) ? [] : indexes.all(table)) {
      const index = treeOf(database, name as string, end);
      if (!index) return undefined;
      part.indexes += index.bytes;
    }
  }
  return part;
}

function treeOf(
  database: DatabaseSync,
  name: string,
  end: number,
): { rows: number; bytes: number } | undefined {
  const tree = { rows: 0, bytes: 0 };
  // `dbstat` reads the tree page by page, so that it can be stopped.
  const pages = database.prepare('SELECT pagetype, ncell, pgsize FROM dbstat WHERE name = ?').iterate(name);
  for (const { pagetype, ncell, pgsize } of pages as Iterable<unknown> as Iterable<Page>) {
    tree.bytes += pgsize;
    if (pagetype === 'leaf' || WITHOUT_ROWID.has(name)) tree.rows += ncell;
    if (monotonicClock.now() > end) return undefined;
  }
  return tree;
}
