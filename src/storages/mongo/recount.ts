import { monotonicClock, setTimeout } from '../../platform/clock.ts';
import type {
  Keys as FoundKeys,
  KeyRow,
  KeysRequest,
  MatchingKeysRequest,
  Recount,
  RecountRequest,
  Scanned,
  ScanRequest,
} from '../../storage/contract.ts';
import { RecordFolds } from '../../storage/fold-records.ts';
import { pageOfKeys } from '../../storage/fold-sums.ts';
import { MAINTENANCE_TASK, maintenanceJournal } from '../../storage/maintenance-journal.ts';
import { measuresOf } from '../../storage/measures.ts';
import { recountBusy, recountIn } from '../../storage/recount.ts';
import { type Collections, limited, type StoredDocument } from './collections.ts';
import { matchingRows, scanRecords } from './find-records.ts';
import { journalHash, originOf } from './records.ts';
import { serverTime } from './server-time.ts';

/** Time for which a recount is repeated while batches change the bucket. In ms. */
const PATIENCE = 30_000;
/** Pause before a repetition, which doubles. In ms. */
const MIN_PAUSE = 5;
const MAX_PAUSE = 100;

/** Batches that are completely stored. */
interface Snapshot {
  /** Highest mark of each slot: see `Journals`. */
  marks: ReadonlyMap<string, number>;
  /** Number of records of each journal, by its hash in the `_id`s of the records. */
  ordinals: ReadonlyMap<string, number>;
  /** Slots and their journals, to detect journals that were added or removed. */
  slots: string;
}

/**
 * Recounts a bucket between two batches, without transactions. It is repeated until no sum of the bucket contains a
 * batch in progress. Records of batches in progress are left out.
 * @param patience Time after which it gives up. In ms.
 */
export async function recountBetweenBatches(
  collections: Collections,
  request: RecountRequest,
  patience = PATIENCE,
): Promise<Recount> {
  const deadline = monotonicClock.now() + patience;
  for (let pause = MIN_PAUSE; ; pause = Math.min(2 * pause, MAX_PAUSE)) {
    const recount = await attempt(collections, request);
    if (recount) return recount;
    if (monotonicClock.now() + pause > deadline) throw recountBusy(request, patience);
    // Not a constant, so that it does not keep step with the batches.
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
  }
}

/** The sums contain a batch in progress, so that the records, which take longer, need not be read. */
class BatchInProgress extends Error {}

/** Returns `undefined` if the sums contain a batch in progress, or a journal was added or removed meanwhile. */
async function attempt(collections: Collections, request: RecountRequest): Promise<Recount | undefined> {
  const snapshot = await snapshotOf(collections, request.site);
  const { ordinals } = snapshot;
  const isStored = (id: string) => {
    const { journal, ordinal } = originOf(id);
    // A journal that has been removed is completely stored.
    return ordinal < (ordinals.get(journal) ?? Number.POSITIVE_INFINITY);
  };
  const folds = new RecordFolds((of, columns) => matchingRows(collections, of, columns, isStored));
  const reader = {
    async keys(of: KeysRequest): Promise<FoundKeys> {
      const sums = await sumsOf(collections, request, of.summary);
      if (!sums.every((sum) => isWithin(sum, snapshot))) throw new BatchInProgress();
      return pageOfKeys(sums.filter(({ hits }) => hits > 0).map(keyRowOf), of);
    },
    matchingKeys: (of: MatchingKeysRequest): Promise<FoundKeys> => folds.matchingKeys(of),
    scan: (of: ScanRequest): Promise<Scanned> => scanRecords(collections, of, isStored),
  };
  let recount: Recount;
  try {
    recount = await recountIn(reader, request);
  } catch (error) {
    if (error instanceof BatchInProgress) return undefined;
    throw error;
  }
  const { slots } = await snapshotOf(collections, request.site);
  return slots === snapshot.slots ? recount : undefined;
}

async function snapshotOf(collections: Collections, site: string): Promise<Snapshot> {
  const { journals, slots } = collections;
  const marks = new Map<string, number>();
  const ordinals = new Map<string, number>();
  const ofSlots = await limited(slots.find().sort({ _id: 1 }).toArray());
  for (const { _id, base } of ofSlots) marks.set(`s${_id}`, base);
  const found = await limited(journals.find().toArray());
  const runs = found.find(({ _id }) => _id === maintenanceJournal(site, 0));
  const maintenance = runs && maintenanceJournal(site, runs.position);
  for (const { _id, slot, base, position, pending, ordinal } of found) {
    ordinals.set(journalHash(_id as string), ordinal);
    if (slot === undefined) continue;
    // The next maintenance completes or forgets the batch of one that was killed, and compares the sums again.
    const isLost = _id === maintenance && pending !== undefined && !(await isMaintained(collections, site));
    marks.set(`s${slot}`, base + (isLost ? pending : position));
  }
  return { marks, ordinals, slots: JSON.stringify(ofSlots) };
}

/** Returns whether a process holds the lease for changes of sums. */
async function isMaintained(collections: Collections, site: string): Promise<boolean> {
  const found = await limited(collections.sites.findOne({ _id: site }));
  const until = found?.leases?.[MAINTENANCE_TASK]?.until as Date | undefined;
  return until !== undefined && until.getTime() > (await serverTime(collections));
}

/** Returns whether a sum contains only batches that are completely stored. */
function isWithin({ applied = {} }: StoredDocument, { marks }: Snapshot): boolean {
  return Object.entries(applied as Record<string, number>).every(
    ([slot, mark]) => mark <= (marks.get(slot) ?? Number.NEGATIVE_INFINITY),
  );
}

function sumsOf(
  collections: Collections,
  { site, period, from }: RecountRequest,
  summary: string,
): Promise<StoredDocument[]> {
  return limited(
    collections
      .sums(summary, period)
      .find({ site, date: new Date(from) })
      .toArray(),
  );
}

function keyRowOf(sum: StoredDocument): KeyRow {
  // Some servers omit the key `null`.
  return { key: (sum.key ?? null) as string | null, ...measuresOf(sum) };
}
