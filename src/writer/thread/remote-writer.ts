import type { Position } from '../../journal/position.ts';
import { reviveError } from '../../platform/threads.ts';
import type {
  Batch,
  StorageMaintenance,
  StorageWriter,
  VisitorKeyRequest,
  WriterContext,
} from '../../storage/contract.ts';
import { internOthers } from '../../storage/key-budget.ts';
import type { AppCall, AppResult, MaintenanceCall, OpenedWriter, WrittenBatch } from '../protocol.ts';

/** Calls the app's thread, for storages whose writing end runs there. */
export class AppCalls {
  readonly #send: (call: AppCall) => void;
  readonly #waiting = new Map<number, (result: AppResult) => void>();
  #lastId = 0;

  constructor(send: (call: AppCall) => void) {
    this.#send = send;
  }

  async call(storage: number, method: AppCall['method'], argument?: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    const result = await new Promise<AppResult>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#send({ id, storage, method, argument });
    });
    if (!result.error) return result.value;
    throw Object.assign(reviveError(result.error), { refused: result.refused });
  }

  answer(result: AppResult): void {
    this.#waiting.get(result.id)?.(result);
    this.#waiting.delete(result.id);
  }
}

/** Proxy in the writer's thread for a writing end that runs in the app's thread. */
export class RemoteWriter implements StorageWriter {
  readonly replays: boolean;
  readonly #storage: number;
  readonly #calls: AppCalls;

  private constructor(storage: number, calls: AppCalls, replays: boolean) {
    this.#storage = storage;
    this.#calls = calls;
    this.replays = replays;
  }

  static async open(storage: number, calls: AppCalls, context: WriterContext): Promise<RemoteWriter> {
    const { replays, resumes, admits, maintains, keepsVisitorKeys } = (await calls.call(
      storage,
      'open',
      context,
    )) as OpenedWriter;
    const writer = new RemoteWriter(storage, calls, replays);
    if (resumes) {
      writer.resume = async (journal, at) => (await writer.#call('resume', { journal, at })) === true;
    }
    if (admits) writer.admit = (batch) => writer.#admit(batch);
    if (keepsVisitorKeys) {
      writer.visitorKey = async (request) => (await writer.#call('visitorKey', request)) as Uint8Array;
    }
    if (maintains) writer.maintenance = writer.#maintenance();
    return writer;
  }

  position(journal: string): Promise<Position | undefined> {
    return this.#call('position', journal) as Promise<Position | undefined>;
  }

  async apply(batch: Batch): Promise<boolean> {
    return (await this.#write('apply', batch)).applied;
  }

  /** Set only if the writing end has it. */
  admit?: (batch: Batch) => Promise<Batch>;
  /** Set only if the writing end has it. */
  visitorKey?: (request: VisitorKeyRequest) => Promise<Uint8Array>;
  /** Set only if the writing end has it. */
  maintenance?: StorageMaintenance;

  async #admit(batch: Batch): Promise<Batch> {
    // The writing end gets a copy of the texts. So it needs no further one, whose ID would be unknown here.
    internOthers(batch);
    const { deltas } = await this.#write('admit', batch);
    return { ...batch, deltas: deltas! };
  }

  async #write(method: 'admit' | 'apply', batch: Batch): Promise<WrittenBatch> {
    const { records } = batch;
    const written = (await this.#call(method, { ...batch, records: records.toData() })) as WrittenBatch;
    for (const summary of written.overBudget) records.overBudget.add(summary);
    return written;
  }

  #maintenance(): StorageMaintenance {
    const call =
      (method: MaintenanceCall['method']) =>
      (...args: unknown[]) =>
        this.#call('maintain', { method, arguments: args } satisfies MaintenanceCall);
    const methods: Record<MaintenanceCall['method'], unknown> = {
      lease: call('lease'),
      times: call('times'),
      retain: call('retain'),
      prune: call('prune'),
      sweep: call('sweep'),
      setTimeZone: call('setTimeZone'),
      erase: call('erase'),
      scrub: call('scrub'),
    };
    return methods as StorageMaintenance;
  }

  /** Set only if the writing end has it. */
  resume?: (journal: string, at: Position) => Promise<boolean>;

  async forget(journal: string): Promise<void> {
    await this.#call('forget', journal);
  }

  refuses(error: unknown): boolean {
    return (error as { refused?: boolean }).refused === true;
  }

  async close(): Promise<void> {
    await this.#call('close');
  }

  #call(method: AppCall['method'], argument?: unknown): Promise<unknown> {
    return this.#calls.call(this.#storage, method, argument);
  }
}
