import type { Document } from 'mongodb';
import { TrackUsageError } from '../../errors.ts';
import { closeOnFailure } from '../../storage/close-on-failure.ts';
import { loadDriver } from '../../storage/load-driver.ts';
import { Collections } from '../../storages/mongo/collections.ts';
import { connect } from '../../storages/mongo/driver.ts';
import { DEFAULT_COLLECTION, locationOfUrl } from '../../storages/mongo/location.ts';
import { type FlaskLocation, type FlaskTable, READ_TIMEOUT, reading, unreadable } from './table.ts';

/** Types of an `_id`, in MongoDB's sort order. */
const ID_TYPES = ['number', 'string', 'object', 'binData', 'objectId', 'date'] as const;
const IN_TYPE: Readonly<Record<string, (typeof ID_TYPES)[number]>> = {
  ObjectId: 'objectId',
  Binary: 'binData',
  Long: 'number',
  Int32: 'number',
  Double: 'number',
  Decimal128: 'number',
};

export async function openMongo({ url, table, website }: FlaskLocation): Promise<FlaskTable> {
  const location = locationOfUrl(url, undefined, table ?? DEFAULT_COLLECTION);
  const label = website === undefined ? location.label : `${location.label}, website ${website}`;
  const { EJSON } = (await loadDriver('track-usage copy', 'mongodb', () => import('mongodb'))).BSON;
  const { location: connected, close } = await connect(location);
  const { db } = connected;
  const read = <T>(call: () => Promise<T>) => reading(label, call);
  return closeOnFailure(close, () =>
    read(async () => {
      const [found] = await db.listCollections({ name: location.collection }, { nameOnly: true }).toArray();
      if (!found) throw unreadable(label, 'the collection does not exist');
      // Our collection has the same default name.
      if (await new Collections(connected).schema.findOne({})) {
        throw new TrackUsageError('COPY_OWN', { value: label });
      }
      const collection = db.collection(location.collection);
      const ours = website === undefined ? {} : { website };
      if (website !== undefined && !(await collection.findOne(ours, { maxTimeMS: READ_TIMEOUT }))) {
        throw unreadable(label, 'no document belongs to this website');
      }
      return {
        label,
        rows: (after, limit) =>
          read(() => {
            const behind = after === undefined ? {} : behindId(EJSON.parse(after, { relaxed: false }));
            const options = { sort: { _id: 1 }, limit, batchSize: limit, maxTimeMS: READ_TIMEOUT } as const;
            return collection.find({ ...ours, ...behind }, options).toArray();
          }),
        // Includes the type, because an ObjectId, a text and a number differ.
        idOf: ({ _id }) => EJSON.stringify(_id, { relaxed: false }),
        close,
      };
    }),
  );
}

/**
 * Returns the condition for the next chunk. `$gt` only matches IDs of the same type; those of other types
 * follow.
 */
function behindId(id: unknown): Document {
  const type = typeOf(id);
  const later = ID_TYPES.slice(ID_TYPES.indexOf(type) + 1);
  return { $or: [{ _id: { $gt: id } }, ...later.map((each) => ({ _id: { $type: each } }))] };
}

function typeOf(id: unknown): (typeof ID_TYPES)[number] {
  if (typeof id === 'number' || typeof id === 'string') return typeof id as 'number' | 'string';
  if (id instanceof Date) return 'date';
  return IN_TYPE[(id as { _bsontype?: string } | null)?._bsontype ?? ''] ?? 'object';
}
