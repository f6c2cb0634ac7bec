import { TrackUsageError } from '../../errors.ts';
import type { WriterContext } from '../../storage/contract.ts';
import { type Collections, limited } from './collections.ts';

/** Schema version of this release. */
const SCHEMA_VERSION = 1;
const SCHEMA_ID = 'version';

/** Checks the existing collections and creates the missing ones. */
export async function setUp(collections: Collections, context: WriterContext): Promise<void> {
  await prepare(collections);
  await openSite(collections, context);
}

/** Creates what is missing, in idempotent steps that several processes may run concurrently. */
async function prepare(collections: Collections): Promise<void> {
  const { schema, records, label } = collections;
  await checkOwn(collections);
  await limited(
    schema.updateOne({ _id: SCHEMA_ID }, { $setOnInsert: { version: SCHEMA_VERSION } }, { upsert: true }),
  );
  checkVersion(await versionOf(collections), label);
  await limited(records.createIndex({ site: 1, date: -1, _id: -1 }, { name: 'site_date' }));
}

/** Throws if there is no data to read, or its schema version cannot be read by this release. */
export async function checkReadable(collections: Collections): Promise<void> {
  const found = await versionOf(collections);
  const { label } = collections;
  if (found === undefined) throw new TrackUsageError('STORAGE_NOT_FOUND', { value: label });
  checkVersion(found, label);
  if (found < SCHEMA_VERSION) {
    throw new TrackUsageError('STORAGE_OLDER', { value: label, found, known: SCHEMA_VERSION });
  }
}

/** Adds the site. Throws if it is stored with another time zone. */
async function openSite(collections: Collections, { site, timeZone }: WriterContext): Promise<void> {
  const { sites, label } = collections;
  await limited(
    sites.updateOne(
      { _id: site },
      { $setOnInsert: { time_zone: timeZone, summaries: [] } },
      { upsert: true },
    ),
  );
  const found = (await limited(sites.findOne({ _id: site })))?.time_zone;
  if (found !== timeZone) {
    throw new TrackUsageError('STORAGE_TIME_ZONE', { site, value: label, found, wanted: timeZone });
  }
}

/**
 * Throws if the records' collection belongs to another program, for example Flask-Track-Usage. Changes
 * nothing.
 */
async function checkOwn(collections: Collections): Promise<void> {
  if ((await versionOf(collections)) !== undefined) return;
  if ((await limited(collections.records.findOne({}))) === null) return;
  // Another process that starts at the same time adds the schema before its first record.
  if ((await versionOf(collections)) !== undefined) return;
  throw new TrackUsageError('STORAGE_FOREIGN', { value: collections.label });
}

async function versionOf({ schema }: Collections): Promise<number | undefined> {
  return (await limited(schema.findOne({ _id: SCHEMA_ID })))?.version as number | undefined;
}

function checkVersion(found: number | undefined, value: string): void {
  if (found !== undefined && found > SCHEMA_VERSION) {
    throw new TrackUsageError('STORAGE_NEWER', { value, found, known: SCHEMA_VERSION });
  }
}
