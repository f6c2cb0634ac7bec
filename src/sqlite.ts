import { createRequire } from 'node:module';

type Sqlite = typeof import('node:sqlite');

let loaded: Sqlite | undefined;

/** `node:sqlite`, without the ExperimentalWarning that older lines print; other warnings pass. */
export function sqlite(): Sqlite {
  if (loaded) return loaded;
  const emitWarning = process.emitWarning;
  process.emitWarning = () => {};
  try {
    loaded = createRequire(import.meta.url)('node:sqlite') as Sqlite;
  } finally {
    process.emitWarning = emitWarning;
  }
  return loaded;
}
