import { RecordBatch, type RecordBatchData } from '../../batch.ts';
import type { Position } from '../../journal/position.ts';
import { plainError } from '../../platform/threads.ts';
import type { Batch, StorageWriter, VisitorKeyRequest, WriterContext } from '../../storage/contract.ts';
import type { RecordWriter } from '../../storage/writer.ts';
import type { AppCall, AppResult, MaintenanceCall, OpenedWriter, WrittenBatch } from '../protocol.ts';

/** Writing ends that run in the app's thread, because the user passed a client or a function. */
export class AppWriters {
  readonly #storages: readonly RecordWriter[];
  readonly #open: (StorageWriter | undefined)[] = [];

  constructor(storages: readonly RecordWriter[]) {
    this.#storages = storages;
  }

  /** Executes a call of the writer's thread. Never rejects. */
  async answer(call: AppCall): Promise<AppResult> {
    try {
      return { id: call.id, value: await this.#call(call) };
    } catch (error) {
      const refused = this.#open[call.storage]?.refuses(error) ?? false;
      return { id: call.id, error: plainError(error), refused };
    }
  }

  async #call({ storage, method, argument }: AppCall): Promise<unknown> {
    if (method === 'open') {
      // If the thread died, its writing end was never closed.
      await this.#open[storage]?.close();
      const opened = await this.#storages[storage]!.openWriter!(argument as WriterContext);
      this.#open[storage] = opened;
      const { replays = false, resume, admit, maintenance, visitorKey } = opened;
      return {
        replays,
        resumes: resume !== undefined,
        admits: admit !== undefined,
        maintains: maintenance !== undefined,
        keepsVisitorKeys: visitorKey !== undefined,
      } satisfies OpenedWriter;
    }
    const writer = this.#open[storage]!;
    switch (method) {
      case 'position':
        return writer.position(argument as string);
      case 'admit': {
        const batch = batchOf(argument);
        const { deltas } = await writer.admit!(batch);
        return { deltas, applied: false, overBudget: batch.records.overBudget } satisfies WrittenBatch;
      }
      case 'apply': {
        const batch = batchOf(argument);
        const applied = await writer.apply(batch);
        return { deltas: undefined, applied, overBudget: batch.records.overBudget } satisfies WrittenBatch;
      }
      case 'maintain': {
        const call = argument as MaintenanceCall;
        const method = writer.maintenance![call.method] as (...args: readonly unknown[]) => unknown;
        return method.apply(writer.maintenance, call.arguments as unknown[]);
      }
      case 'resume': {
        const { journal, at } = argument as { journal: string; at: Position };
        return writer.resume!(journal, at);
      }
      case 'visitorKey':
        return writer.visitorKey!(argument as VisitorKeyRequest);
      case 'forget':
        return writer.forget(argument as string);
      case 'close':
        this.#open[storage] = undefined;
        return writer.close();
    }
  }
}

/** Returns a batch that the writer's thread sent. */
function batchOf(argument: unknown): Batch {
  const batch = argument as Batch & { records: RecordBatchData };
  return { ...batch, records: RecordBatch.of(batch.records) };
}
