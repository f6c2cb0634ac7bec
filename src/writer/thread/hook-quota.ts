import type { HookLoad } from '../protocol.ts';

/** The most that waits for the hooks of a storage; beyond it they are not called, and it is counted. */
const HOOK_QUEUE: HookLoad = { records: 65_536, units: 32 * 1024 * 1024 };

/** How much the hooks of a storage can still be given. */
export class HookRoom {
  /** What was sent to the app and is not through. */
  readonly #sent: HookLoad = { records: 0, units: 0 };

  /** Takes the room for a batch; false where there is none. */
  take({ records, units }: HookLoad): boolean {
    const sent = this.#sent;
    const isTooMuch = sent.records + records > HOOK_QUEUE.records || sent.units + units > HOOK_QUEUE.units;
    // A batch alone may be larger, where a geography service says much.
    if (isTooMuch && sent.records > 0) return false;
    sent.records += records;
    sent.units += units;
    return true;
  }

  /** The hooks are through with so much more. */
  give({ records, units }: HookLoad): void {
    // What was sent before the thread was started again comes back too.
    this.#sent.records = Math.max(0, this.#sent.records - records);
    this.#sent.units = Math.max(0, this.#sent.units - units);
  }
}
