import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Storage } from '../../src/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter, store } from '../../src/testing/support.ts';

/**
 * A failure of a call to the database:
 * - `rolled back`: the database executed the statement, then rolled it back with an error.
 * - `before`: the call fails before the database has received it; for a server, the connection is killed.
 * - `after`: the call fails although the database has executed it; for a server, the connection is killed.
 */
export type Failure = 'rolled back' | 'before' | 'after';

/** A database, and one connection to it whose calls can fail. */
export interface RollbackDatabase {
  failures: readonly Failure[];
  /** Minimum number of calls that storing a batch takes. */
  calls: number;
  /** A storage whose calls fail as `faults` says. */
  faulty(hooks: readonly string[], faults: Faults): Storage;
  plain(hooks: readonly string[]): Storage;
  close(): Promise<void>;
}

/** Makes one call fail, counted from `arm` on. */
export class Faults {
  calls = 0;
  failed = false;
  #nth = Number.POSITIVE_INFINITY;
  #failure: Failure = 'before';

  arm(nth: number, failure: Failure): void {
    Object.assign(this, { calls: 0, failed: false });
    this.#nth = nth;
    this.#failure = failure;
  }

  /** Call for each call to the database. Returns how it is to fail, if it is. */
  next(): Failure | undefined {
    if (this.calls++ !== this.#nth) return undefined;
    this.failed = true;
    return this.#failure;
  }
}

const HOOKS = ['urls', 'referrers', 'browsers'];

const recordsOf = (round: string, name: string) =>
  [0, 1].map((n) => ({
    url: `http://${round}/${name}/${n}`,
    route: `/${round}/${name}`,
    agent: `${round} ${name} agent`,
    browser: `${round} ${name}`,
    referrer: `${round} ${name} ${n}`,
  }));

/** Registers tests that a cached ID never leads to another text after a batch failed at any of its calls. */
export function rollbackCases(open: () => Promise<RollbackDatabase>): void {
  test('a batch that fails at any call is stored once when repeated, and cached IDs stay correct', async () => {
    const database = await open();
    try {
      const first = await round(database, Number.POSITIVE_INFINITY, 'before');
      expect(first.contents).toMatchObject({ records: { length: 8 } });
      let nth = 0;
      // Ends with the first round that has fewer calls, because the number of calls differs between rounds.
      for (let isCall = true; isCall; nth++) {
        // Each call is rolled back, if the engine supports it, and lost in one of two ways.
        const lost = nth % 2 === 0 ? 'before' : 'after';
        for (const failure of database.failures.filter((each) => each === 'rolled back' || each === lost)) {
          const { failed, contents } = await round(database, nth, failure);
          isCall &&= failed;
          expect(contents, `call ${nth}, ${failure}`).toEqual(first.contents);
        }
      }
      expect(nth).toBeGreaterThan(database.calls);
    } finally {
      await database.close();
    }
  }, 180_000);
}

async function round(database: RollbackDatabase, nth: number, failure: Failure) {
  // Each round has its own texts and summaries, which the database does not know yet.
  const site = `${failure.replace(' ', '-')}-${nth}`;
  const faults = new Faults();
  const [faulty, plain] = [database.faulty(HOOKS, faults), database.plain(HOOKS)];
  const [writer, other] = [await openWriter(faulty, { site }), await openWriter(plain, { site })];
  try {
    const [urls, ...more] = plain.summaries;
    const journalOf = (name: string, summaries: ConstructorParameters<typeof TestJournal>[1]) =>
      // Distinct from the first digit on, because the numbers of the records start with it.
      new TestJournal(hash('md5', `${name} ${site}`), summaries, 'UTC', site);
    const journal = journalOf('a', plain.summaries);
    // Another process registers the summaries first, in another order.
    const otherJournal = journalOf('b', [...more.reverse(), urls!]);
    // IDs cached before the failure stay correct.
    await store(async () => writer, journalOf('c', [urls!]).batch(recordsOf(site, 'first')));
    const batch = journal.batch(recordsOf(site, 'second'));
    faults.arm(nth, failure);
    await writer.apply(batch).catch(() => {});
    const { failed } = faults;
    faults.arm(Number.POSITIVE_INFINITY, failure);
    // Another process takes the IDs that have become free.
    await store(async () => other, otherJournal.batch(recordsOf(site, 'other')));
    await store(async () => writer, batch);
    const again = journal.batch(recordsOf(site, 'second'));
    await store(async () => writer, again);
    return { failed, contents: await contents(plain, site) };
  } finally {
    await writer.close();
    await other.close();
    await faulty.close();
    await plain.close();
  }
}

/** Everything that is kept under an ID, as texts without the name of the round. */
async function contents(storage: Storage, site: string) {
  const records = await storage.getUsage({ site, limit: 0 });
  const sums: unknown[] = [];
  for (const name of HOOKS) {
    const rows = await storage.getSum(name, { site, period: 'day', limit: 0 });
    sums.push(rows.map(({ key, hits }) => `${key} ${hits}`).sort());
  }
  const texts = records.map(({ url, route, userAgent, referrer }) =>
    JSON.stringify({ url, route, agent: userAgent?.string, browser: userAgent?.browser, referrer }),
  );
  return JSON.parse(JSON.stringify({ records: texts.sort(), sums }).replaceAll(site, 'ROUND')) as unknown;
}
