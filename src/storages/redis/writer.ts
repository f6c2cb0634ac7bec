import type { Position } from '../../journal/position.ts';
import { setTimeout } from '../../platform/clock.ts';
import { checkTimeZone } from '../../storage/checks.ts';
import type { Batch, StorageWriter, VisitorKeyRequest, WriterContext } from '../../storage/contract.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import { Admission } from './admission.ts';
import { BatchCalls, type Chain, seriesOf } from './calls.ts';
import { run, type Server } from './client.ts';
import { Corrections } from './corrections.ts';
import { type Keys, SCHEMA_VERSION } from './keys.ts';
import { RedisMaintenance } from './maintenance.ts';
import type { RedisLocation } from './options.ts';
import { positionOf } from './position.ts';
import { rangeOf } from './progress.ts';
import { BEGIN, MOVE, SET_ZONE, VISITOR_KEY } from './scripts.ts';
import { setUp } from './set-up.ts';

/**
 * Maximum number of concurrent calls per chain. Further ones are encoded while the server processes these.
 */
const MAX_CONCURRENT_CALLS = 4;
/** Interval at which a batch that waits for a recount tries to begin. In ms. */
const PAUSE_INTERVAL = 5;
/** Time that guards are kept after their batch is stored, because a lost call may still arrive. In ms. */
const GUARD_TTL = 86_400_000;

/**
 * Writes a batch as many script calls to many slots. Each call is idempotent. The position moves when all are
 * done, and a failed batch is repeated unchanged.
 */
export class RedisWriter implements StorageWriter {
  readonly replays = true;
  readonly maintenance: RedisMaintenance;
  readonly #server: Server;
  readonly #keys: Keys;
  readonly #location: RedisLocation;
  readonly #context: WriterContext;
  readonly #calendar: Calendar;
  readonly #admission: Admission | undefined;
  readonly #corrections: Corrections;

  constructor(server: Server, keys: Keys, location: RedisLocation, context: WriterContext) {
    this.#server = server;
    this.#keys = keys;
    this.#location = location;
    this.#context = context;
    this.#calendar = calendar(context.timeZone);
    const { site, maxKeys } = context;
    this.#admission = maxKeys && new Admission(server, keys, this.#calendar, site, maxKeys);
    this.#corrections = new Corrections(server, keys, site);
    this.maintenance = new RedisMaintenance(server, keys, this.#calendar, site, location.label);
  }

  async position(journal: string): Promise<Position | undefined> {
    return positionOf(this.#server, this.#keys, journal);
  }

  async admit(batch: Batch): Promise<Batch> {
    return (await this.#admission?.admit(batch)) ?? batch;
  }

  async apply(batch: Batch): Promise<boolean> {
    const { journal, from } = batch;
    // Stored from the first batch on, so that `MOVE` detects whether Redis was emptied meanwhile.
    if (from.position === 0) await this.#enter(journal, from);
    const isSaved = await this.#corrections.save(batch);
    const isStored = await this.#store(batch);
    if (isSaved) await this.#corrections.remove(journal);
    return isStored;
  }

  /** Stores a batch, of which parts may already be stored. Returns false if the position is not that of the batch. */
  async #store(batch: Batch): Promise<boolean> {
    const { journal, from, to } = batch;
    if (!(await this.#begin(batch))) return false;
    const calls = new BatchCalls(batch, this.#keys, this.#location, this.#calendar, this.#context);
    const series = seriesOf(batch, this.#calendar);
    await this.#announce([...series.keys()]);
    const chains = calls.chains(series);
    await this.#runAll(chains);
    const move = [journal, from.position, to.position, to.ordinal].map(String);
    const moved = await run(this.#server, MOVE, [this.#keys.journals], move);
    if (Number(moved) !== 1) return false;
    // A guard that never expires takes memory but does no harm.
    await Promise.allSettled(chains.map(({ guard }) => this.#command('PEXPIRE', guard, String(GUARD_TTL))));
    return true;
  }

  /** Marks the batch as in progress. Returns false if the journal's position is not that of the batch. */
  async #begin(batch: Batch): Promise<boolean> {
    const { journal, from, to } = batch;
    const range = rangeOf(batch, this.#calendar);
    const { site, timeZone } = this.#context;
    const args = [journal, from.position, to.position, range.from, range.to, site, timeZone].map(String);
    for (;;) {
      const begun = Number(await run(this.#server, BEGIN, [this.#keys.journals], args));
      if (begun < 2) return begun === 1;
      if (begun === 3) await this.#checkZone();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_INTERVAL));
    }
  }

  /** Throws if the time zone of the site has been changed. Otherwise completes an interrupted change. */
  async #checkZone(): Promise<void> {
    const { site, timeZone } = this.#context;
    const found = await this.#command('HGET', this.#keys.sites, site);
    if (found !== null) checkTimeZone(this.#context, String(found), this.#location.label);
    await run(this.#server, SET_ZONE, [this.#keys.journals], [site, timeZone]);
  }

  async resume(journal: string, at: Position): Promise<boolean> {
    await setUp(this.#server, this.#keys, this.#location, this.#context);
    await this.#enter(journal, at);
    return true;
  }

  /** Stores a journal's position, unless it is already stored. */
  async #enter(journal: string, at: Position): Promise<void> {
    await this.#command('HSETNX', this.#keys.journals, journal, `${at.position} ${at.ordinal}`);
  }

  async visitorKey({ day, oldest, proposal }: VisitorKeyRequest): Promise<Uint8Array> {
    const proposed = Buffer.from(proposal).toString('hex');
    const key = this.#keys.visitorKeys(this.#context.site);
    return Buffer.from(String(await run(this.#server, VISITOR_KEY, [key], [day, proposed, oldest])), 'hex');
  }

  async forget(journal: string): Promise<void> {
    // Left by a process that was killed while it changed sums. Not stored again if only the removal is missing.
    const correction = await this.#corrections.find(journal);
    if (correction) await this.#store(correction);
    await this.#corrections.remove(journal);
    await this.#command('HDEL', this.#keys.journals, journal);
  }

  /** Returns false: Redis can store any value, and failures are temporary. */
  refuses(): boolean {
    return false;
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /**
   * Adds the series that readers look up first. Repeated for each batch, because Redis may have been emptied
   * meanwhile.
   */
  async #announce(series: readonly string[]): Promise<void> {
    const { site, timeZone } = this.#context;
    const list = this.#keys.series(site);
    await Promise.all([
      this.#command('SET', this.#keys.schema, String(SCHEMA_VERSION), 'NX'),
      this.#command('HSETNX', this.#keys.sites, site, timeZone),
      ...(series.length > 0 ? [this.#command('SADD', list, ...series)] : []),
    ]);
  }

  /** Runs the chains concurrently, and the calls of each in order. Settles when no call is pending. */
  async #runAll(chains: readonly Chain[]): Promise<void> {
    const most = this.#server.isOrdered ? MAX_CONCURRENT_CALLS : 1;
    let failure: { error: unknown } | undefined;
    const failed = (error: unknown) => {
      failure ??= { error };
    };
    const runChain = async ({ calls }: Chain) => {
      const underWay = new Set<Promise<unknown>>();
      try {
        for (const { script, keys, args } of calls) {
          const sent: Promise<unknown> = run(this.#server, script, keys, args)
            .catch(failed)
            .finally(() => underWay.delete(sent));
          underWay.add(sent);
          if (underWay.size === most) await Promise.race(underWay);
          if (failure) break;
        }
      } finally {
        await Promise.all(underWay);
      }
    };
    await Promise.all(chains.map((chain) => runChain(chain).catch(failed)));
    if (failure) throw failure.error;
  }

  #command(name: string, key: string, ...args: string[]): Promise<unknown> {
    return this.#server.send(key, [name, key, ...args]);
  }
}
