import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished } from 'vitest';
import { TrackUsage, type UsageStatus } from '../../src/index.ts';
import { listJournals } from '../../src/journal/directory.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import type { Load } from './client.ts';
import type { AppEvent, Settings } from './server.ts';

export const SERVER = join(import.meta.dirname, 'server.ts');

type EventName = AppEvent['event'];
type EventOf<E extends EventName> = Extract<AppEvent, { event: E }>;

/** A started `server.ts` with its events. It is ended after the test, with all its workers. */
export class App {
  readonly process: ChildProcess;
  /** Its exit code and signal. */
  readonly ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly events: AppEvent[] = [];
  readonly #emitter = new EventEmitter();

  /** @param command Command that starts Node, for example `unshare` with its arguments. */
  constructor(settings: Settings, command: readonly string[] = []) {
    const [program = '', ...args] = [...command, process.execPath, SERVER, JSON.stringify(settings)];
    // Its own process group, so that its workers can be ended with it.
    this.process = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = once(this.process, 'exit') as typeof this.ended;
    createInterface(this.process.stdout!).on('line', (line) => {
      this.events.push(JSON.parse(line));
      this.#emitter.emit('event');
    });
    onTestFinished(() => this.kill('SIGKILL'));
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Waits for `count` events of a name, and returns all of that name. */
  async waitFor<E extends EventName>(name: E, count = 1): Promise<EventOf<E>[]> {
    for (;;) {
      const found = this.events.filter((event): event is EventOf<E> => event.event === name);
      if (found.length >= count) return found;
      await once(this.#emitter, 'event');
    }
  }

  async port(): Promise<number> {
    return (await this.waitFor('listening'))[0]!.port;
  }

  /** Messages of the problems that were reported to its `onError`. */
  get problems(): string[] {
    return this.events.flatMap((event) => (event.event === 'problem' ? event.message : []));
  }

  /** Returns the status of an app that is not a cluster. */
  async status(): Promise<UsageStatus> {
    const before = this.events.filter(({ event }) => event === 'status').length;
    signalTo(this.pid, 'SIGHUP');
    return (await this.waitFor('status', before + 1)).at(-1)!.status;
  }

  /** Sends a signal to all its processes. */
  kill(signal: NodeJS.Signals): void {
    signalTo(-this.pid, signal);
  }
}

/** Sends a signal to a process, or to a process group if the number is negative. Ignores processes that have ended. */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  // 0 would be the tests themselves, and -1 every process.
  if (!Number.isInteger(pid) || pid === 0 || pid === -1) throw new Error(`${pid} is no process`);
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Returns the directories of all journals. */
export function journalsIn(directory: string): string[] {
  return readdirSync(directory).flatMap((identity) =>
    listJournals(join(directory, identity)).map((id) => join(directory, identity, id)),
  );
}

/** Returns what the database contains after all dead journals in `journals` were adopted. */
export async function stored({ directory, journals, database, site = 'default' }: Settings) {
  const dir = journals ?? join(directory, 'journals');
  const storage = new SqliteStorage(database ?? join(directory, 'usage.db'), { hooks: ['server'] });
  const problems: string[] = [];
  const usage = new TrackUsage(undefined, storage, {
    site,
    geo: false,
    journal: { dir },
    onError: ({ message }) => problems.push(message),
  });
  await usage.ready();
  const identity = join(usage.status().journal.directory, '..');
  // Only the own journal remains when all others are adopted.
  await expect.poll(() => listJournals(identity).length, { timeout: 20_000 }).toBe(1);
  const records = await usage.getUsage({ limit: 0 });
  const hours = await usage.getSum('server', { period: 'hour', limit: 0 });
  const { adopted } = usage.status().storages[0]!;
  await usage.close();
  expect(problems).toEqual([]);
  return {
    paths: records.map(({ path }) => path),
    hits: hours.reduce((sum, { hits }) => sum + hits, 0),
    adopted,
  };
}

/**
 * The database contains each received response exactly once, and no other. `cut`: a request whose response was cut
 * off by a kill may be in it too.
 */
export async function expectExact(settings: Settings, load: Load, { cut = false } = {}): Promise<void> {
  const { paths, hits } = await stored(settings);
  const seen = new Set(paths);
  expect({
    missing: [...load.received].filter((path) => !seen.has(path)),
    twice: paths.length - seen.size,
    surplus: [...seen].filter((path) => !load.received.has(path) && !(cut && load.cut.has(path))),
    hits,
  }).toEqual({ missing: [], twice: 0, surplus: [], hits: paths.length });
}
