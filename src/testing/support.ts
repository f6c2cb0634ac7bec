import type { Batch, StorageWriter, WriterContext } from '../storages/contract.ts';
import type { Storage } from '../storages/storage.ts';
import { openWritingEnd, type RecordWriter } from '../storages/writer.ts';
import type { Subject, TestPlace } from './index.ts';

const CONTEXT: WriterContext = { site: 'default', timeZone: 'UTC', durable: false };
/** Tries of a batch until it counts as failed; between them the connection comes back. */
const TRIES = 100;
/** In ms. */
const PAUSE = 50;

/** The writing end of a storage, opened here, wherever it runs in an app. */
export function openWriter(
  storage: RecordWriter,
  context: Partial<WriterContext> = {},
): Promise<StorageWriter> {
  return openWritingEnd(storage, { ...CONTEXT, ...context });
}

/** Runs a test at a place of its own, which is gone afterwards, and so is what was opened there. */
export async function at(
  subject: Subject,
  run: (place: TestPlace & { keep<T extends { close(): Promise<unknown> }>(opened: T): T }) => Promise<void>,
): Promise<void> {
  const place = await subject.place();
  const opened: { close(): Promise<unknown> }[] = [];
  const keep = <T extends { close(): Promise<unknown> }>(each: T): T => {
    opened.push(each);
    return each;
  };
  try {
    await run({ storage: (...given) => keep(place.storage(...given)), remove: () => place.remove(), keep });
  } finally {
    for (const each of opened.reverse()) await each.close().catch(() => {});
    await place.remove();
  }
}

/** Stores a batch as the writer's thread does: what fails is tried again, from where the storage says it is. */
export async function store(open: () => Promise<StorageWriter>, batch: Batch): Promise<number> {
  let failures = 0;
  for (;;) {
    let writer: StorageWriter | undefined;
    try {
      writer = await open();
      const position = (await writer.position(batch.journal))?.position ?? 0;
      if (position === batch.to.position) return failures;
      if (await writer.apply(batch)) return failures;
    } catch (error) {
      failures += 1;
      if (failures === TRIES || writer?.refuses(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/** The rows of a summary, short: `key hits transfer errors duration`. */
export async function rows(
  storage: Storage,
  summary: string,
  period: 'hour' | 'day' | 'month' = 'day',
  options: {
    target?: string | null;
    limit?: number;
    page?: number;
    from?: string | number;
    to?: string | number;
    site?: string;
  } = {},
) {
  const found = await storage.getSum(summary, { limit: 0, ...options, period });
  return found.map(({ key, hits, transfer, errors, duration }) => [key, hits, transfer, errors, duration]);
}
