import { clearInterval, setInterval } from '../platform/clock.ts';
import { LEASE, type Lease } from '../storage/prune.ts';

/** Lease that a timer renews, because reading a large bucket may take longer than it lasts. Once lost, it stays lost. */
export class KeptLease {
  readonly #lease: Lease;
  readonly #onLost: () => Error;
  readonly #timer: ReturnType<typeof setInterval>;
  #isLost = false;
  /** True if it ended since the last call of `renew`, so that another process may have had it. */
  #hasEnded = false;
  #isRenewing = false;

  /**
   * @param lease Lease that this process holds.
   * @param onLost Returns the error of all further calls.
   */
  constructor(lease: Lease, onLost: () => Error) {
    this.#lease = lease;
    this.#onLost = onLost;
    this.#timer = setInterval(() => void this.#tick(), LEASE / 3);
    this.#timer.unref();
  }

  /** Renews the lease. Throws if another process has it. Call it before what is going to be changed is read. */
  async renew(): Promise<void> {
    await this.#request();
    this.#hasEnded = false;
  }

  /** Throws if another process has or may have had the lease since the last call of `renew`. */
  async confirm(): Promise<void> {
    await this.#request();
    if (!this.#hasEnded) return;
    this.#isLost = true;
    throw this.#onLost();
  }

  /** Stops the timer. The lease then ends by itself, unless its holder requests it again. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Stops the timer, and ends the lease. */
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
    // A request that fails is repeated, and the loss is reported by the next step.
    await this.#request().catch(() => {});
    this.#isRenewing = false;
  }
}
