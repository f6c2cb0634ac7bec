import type { HookLoad } from '../protocol.ts';

/**
 * Maximum load that waits for a storage's hooks. Beyond it, hooks are not called, and those records are
 * counted.
 */
const MAX_HOOK_LOAD: HookLoad = { records: 65_536, units: 32 * 1024 * 1024 };

/** Tracks the remaining capacity of a storage's hook queue. */
export class HookQuota {
  /** Load that was sent to the app and not yet processed. */
  readonly #sent: HookLoad = { records: 0, units: 0 };

  /** Reserves capacity for a batch. Returns false if there is none. */
  reserve({ records, units }: HookLoad): boolean {
    const sent = this.#sent;
    const isTooMuch =
      sent.records + records > MAX_HOOK_LOAD.records || sent.units + units > MAX_HOOK_LOAD.units;
    // A single batch may exceed the limit if a geolocation service returns much data.
    if (isTooMuch && sent.records > 0) return false;
    sent.records += records;
    sent.units += units;
    return true;
  }

  /** Releases capacity for records that the hooks have processed. */
  release({ records, units }: HookLoad): void {
    // This includes records sent before the thread was restarted.
    this.#sent.records = Math.max(0, this.#sent.records - records);
    this.#sent.units = Math.max(0, this.#sent.units - units);
  }
}
