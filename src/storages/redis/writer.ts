import type { Cursor } from '../../journal/reader.ts';
import { type Calendar, calendar } from '../../summaries/periods.ts';
import type { Batch, StorageWriter, WriterContext } from '../contract.ts';
import { BatchCalls, type Chain } from './calls.ts';
import { run, type Server } from './client.ts';
import type { RedisPlace } from './index.ts';
import { type Keys, SCHEMA_VERSION } from './keys.ts';
import { MOVE } from './scripts.ts';
import { setUp } from './set-up.ts';

/** Calls of a chain that may be on their way at once: the next are made while the server works on the last. */
const UNDER_WAY = 4;
/** How long guards stay after their batch is stored: a call that was lost on its way may still arrive. In ms. */
const GUARD_TTL = 86_400_000;

/**
 * A batch is many calls of scripts, to many slots, each done once however often it is made; when all are done, the
 * position moves. What fails on the way comes again as it was.
 */
export class RedisWriter implements StorageWriter {
  readonly replays = true;
  readonly #server: Server;
  readonly #keys: Keys;
  readonly #place: RedisPlace;
  readonly #context: WriterContext;
  readonly #calendar: Calendar;

  constructor(server: Server, keys: Keys, place: RedisPlace, context: WriterContext) {
    this.#server = server;
    this.#keys = keys;
    this.#place = place;
    this.#context = context;
    this.#calendar = calendar(context.timeZone);
  }

  async position(journal: string): Promise<Cursor | undefined> {
    const found = await this.#command('HGET', this.#keys.journals, journal);
    if (found === null) return undefined;
    const [position, ordinal] = String(found).split(' ').map(Number);
    return { position: position!, ordinal: ordinal! };
  }

  async apply(batch: Batch): Promise<boolean> {
    const { journal, from, to } = batch;
    // Noted from the first batch on: so it shows at its end when Redis was emptied meanwhile.
    if (from.position === 0) await this.#enter(journal, from);
    if ((await this.position(journal))?.position !== from.position) return false;
    const calls = new BatchCalls(batch, this.#keys, this.#place, this.#calendar, this.#context.site);
    const series = calls.series();
    await this.#announce([...series.keys()]);
    const chains = calls.chains(series);
    await this.#runAll(chains);
    const move = [journal, from.position, to.position, to.ordinal].map(String);
    const moved = await run(this.#server, MOVE, [this.#keys.journals], move);
    if (Number(moved) !== 1) return false;
    // A guard that stays for ever takes its room, and does no harm.
    await Promise.allSettled(chains.map(({ guard }) => this.#command('PEXPIRE', guard, String(GUARD_TTL))));
    return true;
  }

  async resume(journal: string, at: Cursor): Promise<boolean> {
    await setUp(this.#server, this.#keys, this.#place, this.#context);
    await this.#enter(journal, at);
    return true;
  }

  /** Notes where a journal is, unless that is known. */
  async #enter(journal: string, at: Cursor): Promise<void> {
    await this.#command('HSETNX', this.#keys.journals, journal, `${at.position} ${at.ordinal}`);
  }

  async forget(journal: string): Promise<void> {
    await this.#command('HDEL', this.#keys.journals, journal);
  }

  /** Whatever it was given, it can store; what fails is tried again. */
  refuses(): boolean {
    return false;
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** What readers must find first. Each time, since somebody may have emptied Redis meanwhile. */
  async #announce(series: readonly string[]): Promise<void> {
    const { site, timeZone } = this.#context;
    const list = this.#keys.series(site);
    await Promise.all([
      this.#command('SET', this.#keys.schema, String(SCHEMA_VERSION), 'NX'),
      this.#command('HSETNX', this.#keys.sites, site, timeZone),
      ...(series.length > 0 ? [this.#command('SADD', list, ...series)] : []),
    ]);
  }

  /** The chains beside each other, the calls of each in their order. Settles when nothing is on its way. */
  async #runAll(chains: readonly Chain[]): Promise<void> {
    const most = this.#server.isOrdered ? UNDER_WAY : 1;
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
