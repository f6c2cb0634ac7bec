import type { Engine } from '../../storage/opening.ts';
import type { Collections } from './collections.ts';
import { MongoReader } from './reader.ts';
import { SCHEMA_VERSION, setUp, versionOf } from './schema.ts';
import { MongoWriter } from './writer.ts';

export const engine: Engine<Collections> = {
  schemaVersion: SCHEMA_VERSION,
  versionOf,
  async writer(collections, context) {
    await setUp(collections, context);
    return new MongoWriter(collections, context);
  },
  reader: (collections) => new MongoReader(collections),
};
