/** SQLite storage whose thread dies once, immediately after its first commit of records. */
import { existsSync, writeFileSync } from 'node:fs';
import type { StorageModule } from '../../src/storage/contract.ts';
import { openWriter as open } from '../../src/storages/sqlite/module.ts';

export { openReader } from '../../src/storages/sqlite/module.ts';

export const openWriter: StorageModule['openWriter'] = async (options, context) => {
  const { marker } = options as { marker: string };
  const writer = await open(options, context);
  const { apply } = writer;
  writer.apply = async (batch) => {
    const applied = await apply.call(writer, batch);
    if (!existsSync(marker)) {
      writeFileSync(marker, '');
      process.exit(1);
    }
    return applied;
  };
  return writer;
};
