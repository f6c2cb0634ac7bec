import { TrackUsageError } from '../../errors.ts';
import { checkTimeZone, checkVersion } from '../../storage/checks.ts';
import type { WriterContext } from '../../storage/contract.ts';
import { type Collections, limited } from './collections.ts';

/**
 * Schema version of this release. Version 2 added the collections of key counts and of emptied sums. Version 1 did not
 * expect that another process deletes a sum without hits.
 */
export const SCHEMA_VERSION = 2;
const SCHEMA_ID = 'version';

/** Checks the existing collections and creates the missing ones. */
export async function setUp(collections: Collections, context: WriterContext): Promise<void> {
  await prepare(collections);
  await openSite(collections, context);
}

/** Creates what is missing, in idempotent steps that several processes may run concurrently. */
async function prepare(collections: Collections): Promise<void> {
  const { schema, records, keyCounts } = collections;
  await checkOwn(collections);
  await limited(
    schema.updateOne({ _id: SCHEMA_ID }, { $setOnInsert: { version: SCHEMA_VERSION } }, { upsert: true }),
  );
  await versionOf(collections);
  await limited(records.createIndex({ site: 1, date: -1, _id: -1 }, { name: 'site_date' }));
  await limited(keyCounts.createIndex({ site: 1, period: 1, date: 1 }, { name: 'site_period_date' }));
  // Buckets without a count are counted when they are first used, so there is nothing else to migrate.
  const older = { _id: SCHEMA_ID, version: { $lt: SCHEMA_VERSION } };
  await limited(schema.updateOne(older, { $set: { version: SCHEMA_VERSION } }));
}

/** Adds the site. Throws if it is stored with another time zone. */
async function openSite(collections: Collections, context: WriterContext): Promise<void> {
  const { sites } = collections;
  const { site, timeZone } = context;
  await limited(
    sites.updateOne(
      { _id: site },
      { $setOnInsert: { time_zone: timeZone, summaries: [] } },
      { upsert: true },
    ),
  );
  await checkSite(collections, context);
}

/** Throws if the site is stored with another time zone. */
export async function checkSite({ sites, label }: Collections, context: WriterContext): Promise<void> {
  const found = await limited(sites.findOne({ _id: context.site }, { projection: { time_zone: 1 } }));
  if (found) checkTimeZone(context, found.time_zone as string, label);
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

/** Returns the schema version, or `undefined` if there is none. */
export async function versionOf({ schema, label }: Collections): Promise<number | undefined> {
  const found = (await limited(schema.findOne({ _id: SCHEMA_ID })))?.version as number | undefined;
  if (found !== undefined) checkVersion(found, SCHEMA_VERSION, label);
  return found;
}
