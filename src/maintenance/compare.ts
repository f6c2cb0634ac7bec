import { compareKeys } from '../storage/compare-keys.ts';
import type { KeyRow, Measures } from '../storage/contract.ts';
import { addMeasures, isEqual, MEASURES, noMeasures, onlyMeasures, sumOf } from '../storage/measures.ts';
import { coveredBy, isOfBots, OTHERS } from '../summaries/coverage.ts';
import { latencyKey, partsOfLatencyKey } from '../summaries/latency.ts';

/** Sums of one key that differ between the summaries and the records. */
export interface KeyDifference {
  /** Key; `null` for the requests without one, `''` for those of keys that had no room in the bucket. */
  key: string | null;
  /** Stored sums. */
  stored: Measures;
  /** Sums of the records. */
  counted: Measures;
}

/**
 * Returns the sums that a bucket must have, by key.
 * @param room Number of keys that may be added to those of the bucket. The keys with the most hits are added; the others
 * are counted under `OTHERS`.
 */
export function wantedSums(
  stored: readonly KeyRow[],
  counted: readonly KeyRow[],
  room: number,
): Map<string | null, Measures> {
  const known = new Set(stored.map(({ key }) => key));
  const isKept = ({ key }: KeyRow) => key === null || (key !== OTHERS && known.has(key));
  const added = counted
    .filter((row) => !isKept(row) && row.key !== OTHERS)
    .sort((a, b) => b.hits - a.hits || compareKeys(a.key, b.key));
  const wanted = new Map<string | null, Measures>();
  for (const row of [...counted.filter(isKept), ...added.slice(0, Math.max(0, room))]) {
    wanted.set(row.key, onlyMeasures(row));
  }
  const rest = [
    ...added.slice(Math.max(0, room)),
    // The key of a record itself may be `OTHERS`, because its text was beyond the text budget.
    ...counted.filter(({ key }) => key === OTHERS),
  ];
  if (rest.length > 0) wanted.set(OTHERS, sumOf(rest));
  return wanted;
}

/**
 * Returns the keys of a complete bucket whose sums differ from those of the records, most hits first. Keys that did
 * not fit into the bucket must add up to its `OTHERS`.
 * @param hasOneKey True if each record has exactly one key.
 */
export function differencesOf(
  stored: readonly KeyRow[],
  counted: readonly KeyRow[],
  hasOneKey: boolean,
): KeyDifference[] {
  const hasOthers = stored.some(({ key }) => key === OTHERS);
  if (hasOthers && isConsistent(stored, counted, hasOneKey)) return [];
  const wanted = wantedSums(stored, counted, hasOthers ? 0 : Number.POSITIVE_INFINITY);
  return compareSums(stored, wanted);
}

/** Returns the keys whose stored sums are not the wanted ones, most hits first. */
export function compareSums(
  stored: readonly KeyRow[],
  wanted: ReadonlyMap<string | null, Measures>,
): KeyDifference[] {
  const found = new Map<string | null, KeyDifference>();
  for (const [key, counted] of wanted) found.set(key, { key, stored: noMeasures(), counted });
  for (const { key, ...row } of stored) {
    const measures = onlyMeasures(row);
    const difference = found.get(key);
    if (difference) addMeasures(difference.stored, measures);
    else found.set(key, { key, stored: measures, counted: noMeasures() });
  }
  return [...found.values()]
    .filter(({ stored: a, counted: b }) => !isEqual(a, b))
    .sort((a, b) => b.counted.hits - a.counted.hits || compareKeys(a.key, b.key));
}

/**
 * Returns whether the totals agree and no key exceeds its records. A key may have less than its records, if it was
 * admitted only after the budget was raised.
 */
function isConsistent(stored: readonly KeyRow[], counted: readonly KeyRow[], hasOneKey: boolean): boolean {
  const [has, most] = [sumOf(stored), sumOf(counted)];
  // A record with several keys beyond the budget is counted once under `OTHERS`.
  const agrees = hasOneKey ? isEqual(has, most) : MEASURES.every((measure) => has[measure] <= most[measure]);
  if (!agrees) return false;
  const records = new Map(counted.map((row) => [row.key, row]));
  const without = (rows: readonly KeyRow[]) => sumOf(rows.filter(({ key }) => key === null));
  // Requests without a key always have room.
  if (!isEqual(without(stored), without(counted))) return false;
  return stored.every((row) => {
    if (row.key === OTHERS) return true;
    const own = records.get(row.key);
    return own !== undefined && MEASURES.every((measure) => row[measure] <= own[measure]);
  });
}

/** Rows of one bin of a companion, with the keys of its summary. */
interface BinRows {
  stored: KeyRow[];
  counted: KeyRow[];
}

/** As `differencesOf`, for a companion: a key that did not fit into the bucket is in `OTHERS`, bin by bin. */
export function latencyDifferencesOf(
  stored: readonly KeyRow[],
  counted: readonly KeyRow[],
  hasOneKey: boolean,
): KeyDifference[] {
  return [...binsOf(stored, counted)].flatMap(([bin, rows]) =>
    differencesOf(rows.stored, rows.counted, hasOneKey).map((each) => ({
      ...each,
      key: bin === null ? null : latencyKey(bin, each.key),
    })),
  );
}

/** As `wantedSums`, for a companion. @param isOpen True if keys may be added to bins with `OTHERS`. */
export function wantedLatency(
  stored: readonly KeyRow[],
  counted: readonly KeyRow[],
  isOpen: boolean,
): Map<string | null, Measures> {
  const wanted = new Map<string | null, Measures>();
  for (const [bin, rows] of binsOf(stored, counted)) {
    const hasOthers = rows.stored.some(({ key }) => key === OTHERS);
    const room = hasOthers && !isOpen ? 0 : Number.POSITIVE_INFINITY;
    for (const [key, sums] of wantedSums(rows.stored, rows.counted, room)) {
      wanted.set(bin === null ? null : latencyKey(bin, key), sums);
    }
  }
  return wanted;
}

/** Returns the rows of each bin. A row without a bin is damaged. */
function binsOf(stored: readonly KeyRow[], counted: readonly KeyRow[]): Map<string | null, BinRows> {
  const bins = new Map<string | null, BinRows>();
  for (const [name, rows] of Object.entries({ stored, counted })) {
    for (const { key: text, ...measures } of rows) {
      const { bin, key } = text === null ? { bin: null, key: null } : partsOfLatencyKey(text);
      const found = bins.get(bin) ?? { stored: [], counted: [] };
      found[name as keyof BinRows].push({ key, ...measures });
      bins.set(bin, found);
    }
  }
  return bins;
}

/** Sums of `COVERAGE` in one bucket. */
export interface CoverageSums {
  /** All requests. */
  all: Measures;
  /** Requests of people. */
  people: Measures;
  /** Requests of bots. */
  bots: Measures;
  /** Number of requests that a summary counts. */
  of(summary: string): number;
}

/** Adds up the stored sums of `COVERAGE` in a bucket. */
export function coverageSums(rows: readonly KeyRow[]): CoverageSums {
  const bots = sumOf(rows.filter(({ key }) => isOfBots(key)));
  const people = sumOf(rows.filter(({ key }) => !isOfBots(key)));
  return {
    all: sumOf([bots, people]),
    people,
    bots,
    of: (summary) => sumOf(rows.filter(({ key }) => coveredBy(key).includes(summary))).hits,
  };
}
