import { clearInterval, setInterval } from '../platform/clock.ts';
import { LEASE, type Lease } from '../storage/prune.ts';

/** Lease that a timer renews, because reading a large bucket may take longer than the lease. Once lost, it stays lost. */
export class KeptLease {
  readonly #lease: Lease;
  readonly #onLost: () => Error;
  readonly #timer: ReturnType<typeof setInterval>;
  #isLost = false;
  /** True if the lease has expired since the last call to `renew`, so that another process may have held it. */
  #hasEnded = false;
  #isRenewing = false;

  /**
   * @param lease Lease held by this process.
   * @param onLost Returns the error with which all further calls reject.
   */
  constructor(lease: Lease, onLost: () => Error) {
    this.#lease = lease;
    this.#onLost = onLost;
    this.#timer = setInterval(() => void this.#tick(), LEASE / 3);
    this.#timer.unref();
  }

  /** Renews the lease. Throws if another process holds it. Call it before reading data that is about to be changed. */
  async renew(): Promise<void> {
    await this.#request();
    this.#hasEnded = false;
  }

  /** Throws if another process holds the lease, or may have held it since the last call to `renew`. */
  async confirm(): Promise<void> {
    await this.#request();
    if (!this.#hasEnded) return;
    this.#isLost = true;
    throw this.#onLost();
  }

  /** Stops the timer. The lease then expires, unless its holder requests it again. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Stops the timer and releases the lease. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#lease.release();
  }

  async #request(): Promise<void> {
    this.#hasEnded ||= this.#lease.hasEnded;
    this.#isLost ||= !(await this.#lease.renew());
    if (this.#isLost) throw this.#onLost();
  }

  async #tick(): Promise<void> {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    // A failed request is repeated by the next tick, and a loss is reported by the next step.
    await this.#request().catch(() => {});
    this.#isRenewing = false;
  }
}
