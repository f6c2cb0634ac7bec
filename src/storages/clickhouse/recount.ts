import type {
  Keys,
  KeysRequest,
  MatchingKeysRequest,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
} from '../../storage/contract.ts';
import { pageOfKeys } from '../../storage/fold-sums.ts';
import { measuresOf } from '../../storage/measures.ts';
import { recountIn } from '../../storage/recount.ts';
import { COVERAGE } from '../../summaries/coverage.ts';
import { literal, type Statements } from './client.ts';
import type { Tables } from './table-names.ts';
import { HAS_HITS, JOURNAL_PERIOD } from './tables.ts';
import { FORGOTTEN } from './writer.ts';

/** Queries on records `r`, with an additional condition. */
interface RecordQueries {
  matchingKeys(request: MatchingKeysRequest, condition: string): Promise<Keys>;
  scan(request: ScanRequest, condition: string): Promise<Scanned>;
}

/**
 * Compares a bucket with its records. One query reads the sums and the positions of the journals, which are stored
 * together. The records before these positions were stored earlier, so the queries after it find all of them. Other
 * records belong to batches whose sums are missing as well.
 */
export async function recount(
  statements: Statements,
  tables: Tables,
  request: RecountRequest,
  records: RecordQueries,
): Promise<Recount> {
  const { site, summary, period, from } = request;
  const rows = await statements.rows<Record<string, string | number | null>>(
    `SELECT s.summary AS name, s.absent AS absent, s.key AS text, sum(s.hits) AS hits, sum(s.transfer) AS transfer,
       sum(s.errors) AS errors, sum(s.duration) AS duration, max(s.position) AS reached, max(s.ordinal) AS last
     FROM ${tables.sums} AS s
     WHERE site = ${literal(site)} AND (summary = '' AND period = ${literal(JOURNAL_PERIOD)}
       OR summary IN (${literal(summary.name)}, ${literal(COVERAGE.name)}) AND period = ${literal(period)}
         AND bucket = toDateTime(${Math.floor(from / 1000)}, 'UTC'))
     GROUP BY s.summary, s.absent, s.key
     HAVING if(s.summary = '', reached < ${FORGOTTEN}, ${HAS_HITS})`,
  );
  const journals = rows.filter(({ name }) => name === '');
  const condition = storedIn(
    tables,
    site,
    journals.map(({ text, last }) => ({ journal: String(text), ordinal: Number(last) })),
  );
  const reader = {
    keys: async (sums: KeysRequest) => {
      const keys = rows
        .filter(({ name }) => name === sums.summary)
        .map((row) => ({ key: Number(row.absent) === 1 ? null : String(row.text), ...measuresOf(row) }));
      return pageOfKeys(keys, sums);
    },
    matchingKeys: (matching: MatchingKeysRequest) => records.matchingKeys(matching, condition),
    scan: (page: ScanRequest) => records.scan(page, condition),
  };
  return recountIn(reader, request);
}

/**
 * Returns the condition that a record was stored together with its sums. All records of a forgotten journal were. A
 * journal is forgotten seconds after the end of its process, so none is new and forgotten between two queries.
 */
function storedIn(
  tables: Tables,
  site: string,
  journals: readonly { journal: string; ordinal: number }[],
): string {
  const names = journals.map(({ journal }) => literal(journal));
  const ordinals = journals.map(({ ordinal }) => ordinal);
  const forgotten = `SELECT key FROM ${tables.sums} WHERE site = ${literal(site)} AND summary = ''
    AND period = ${literal(JOURNAL_PERIOD)} GROUP BY key HAVING max(position) >= ${FORGOTTEN}`;
  const isForgotten = `r.journal IN (${forgotten})`;
  if (names.length === 0) return isForgotten;
  return `if(r.journal IN (${names.join(', ')}),
    r.ordinal < transform(toString(r.journal), [${names.join(', ')}], [${ordinals.map((n) => `toUInt64(${n})`).join(', ')}], toUInt64(0)),
    ${isForgotten})`;
}
