import { RecordBatch, type RecordBatchData } from '../../batch.ts';
import type { Position } from '../../journal/position.ts';
import { plainError } from '../../platform/threads.ts';
import type { Batch, StorageWriter, WriterContext } from '../../storage/contract.ts';
import type { RecordWriter } from '../../storage/writer.ts';
import type { AppCall, AppResult, OpenedWriter } from '../protocol.ts';

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
      const { replays = false, resume } = opened;
      return { replays, resumes: resume !== undefined } satisfies OpenedWriter;
    }
    const writer = this.#open[storage]!;
    switch (method) {
      case 'position':
        return writer.position(argument as string);
      case 'apply': {
        const batch = argument as Batch & { records: RecordBatchData };
        return writer.apply({ ...batch, records: RecordBatch.of(batch.records) });
      }
      case 'resume': {
        const { journal, at } = argument as { journal: string; at: Position };
        return writer.resume!(journal, at);
      }
      case 'forget':
        return writer.forget(argument as string);
      case 'close':
        this.#open[storage] = undefined;
        return writer.close();
    }
  }
}
