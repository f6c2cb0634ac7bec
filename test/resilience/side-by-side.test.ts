/** An app with a failure in tracking, under load, side by side with the same app without tracking. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import type { ScenarioName } from './scenarios.ts';
import {
  type Answer,
  type Ask,
  expectSame,
  expectSameOrder,
  type SideBySideApp,
  startBoth,
} from './side-by-side.ts';

const ROUNDS = 4;
const PATHS = ['/', '/page', '/stream/of/text', '/gone', '/page?token=x'];

/** The load of a round: all kinds of responses, as through a proxy. */
const asks: Ask[] = Array.from({ length: 300 }, (_, i) => ({
  path: PATHS[i % PATHS.length]!,
  method: i % 11 === 0 ? 'HEAD' : 'GET',
  headers: {
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'https',
    authorization: 'Basic bWF4Og==',
  },
}));
const REQUESTS = ROUNDS * asks.length;

/** Loads both in turn, and compares the responses and their times. */
async function besides(name: ScenarioName) {
  const { bare, tracked } = await startBoth(name);
  const answers: { bare: Answer[]; tracked: Answer[] } = { bare: [], tracked: [] };
  for (let i = 0; i < ROUNDS; i++) {
    answers.bare.push(...(await bare.ask(asks)));
    answers.tracked.push(...(await tracked.ask(asks)));
  }
  expectSame(answers.bare, answers.tracked);
  expectSameOrder(answers.bare, answers.tracked);
  expect((await tracked.command('status')).status).toMatchObject({
    captured: REQUESTS,
    journaled: REQUESTS,
    journal: { state: 'file' },
    dropped: { journal: 0, capture: 0 },
  });
  await bare.end();
  return { tracked, answers: answers.tracked };
}

async function records({ directory }: SideBySideApp) {
  const storage = new SqliteStorage(join(directory, 'usage.db'), { hooks: ['server'] });
  const all = await storage.getUsage({ limit: 0 });
  const sums = await storage.getSum('server', { period: 'month' });
  await storage.close();
  return { all, hits: sums.reduce((sum, { hits }) => sum + hits, 0) };
}

describe.each(['onError throws', 'onError rejects'] as const)('%s', (name) => {
  test('the app is not affected', async () => {
    const { tracked } = await besides(name);
    const { status } = await tracked.command('flush');
    expect(status).toMatchObject({
      storages: [{ ok: true, committed: REQUESTS, lag: { records: 0 }, error: null }],
      lastError: { code: 'HOOK_FAILED' },
    });
    await tracked.end();
    expect((await records(tracked)).hits).toBe(REQUESTS);
  });
});

describe.each([
  ['functions throw', /failed: I always fail/],
  ['functions throw what has no text', /failed: a value that cannot be converted to a string/],
  ['functions reject', /failed: it returned a promise/],
  ['functions never answer', /failed: it returned a promise/],
  ['functions return garbage', undefined],
] as const)('%s', (name, problem) => {
  test('their values are unknown, and everything else is unchanged', async () => {
    const { tracked, answers } = await besides(name);
    const { status } = await tracked.command('flush');
    expect(status!.storages).toMatchObject([{ ok: true, committed: REQUESTS, lag: { records: 0 } }]);
    const said = await tracked.end();
    const { all } = await records(tracked);
    expect(all).toHaveLength(REQUESTS);
    if (problem === undefined) {
      expect(
        all.filter(({ username }) => username !== null).every(({ username }) => username === '\ufffd\ufffd'),
      ).toBe(true);
      return;
    }
    // No consent to a cookie, no trusted proxy, no user name.
    expect(answers.filter(({ headers }) => headers['set-cookie'])).toEqual([]);
    expect(new Set(all.map(({ remoteAddr }) => remoteAddr))).toEqual(new Set(['127.0.0.1']));
    expect(all.filter(({ username, visitor }) => username !== null || visitor !== null)).toEqual([]);
    expect(status!.lastError).toMatchObject({ code: 'HOOK_FAILED', message: expect.stringMatching(problem) });
    // One line per minute, not one per request.
    expect(said.trim().split('\n')).toHaveLength(1);
  });
});

test('stderr is closed', async () => {
  const { bare, tracked } = await startBoth('functions throw');
  await tracked.closeStderr();
  expectSame(await bare.ask(asks), await tracked.ask(asks));
  expect((await tracked.command('flush')).status).toMatchObject({
    storages: [{ committed: asks.length }],
    lastError: { code: 'HOOK_FAILED' },
  });
  await bare.end();
  await tracked.end();
});

describe.each([
  ['storage does not load', false, /nowhere/],
  ['storage does not open', false, /I do not open/],
  ['storage fails', false, /I take nothing/],
  // It has not responded yet.
  ['storage hangs', true, undefined],
] as const)('%s', (name, ok, error) => {
  test('everything waits in the journal, and status() reports it', async () => {
    const { tracked } = await besides(name);
    const { status } = await tracked.command('status');
    expect(status).toMatchObject({
      storages: [{ ok, committed: 0, adopted: 0, rejected: 0, lost: 0, lag: { records: REQUESTS } }],
      writerRestarts: 0,
    });
    const [storage] = status!.storages;
    expect(storage!.lag.seconds).toBeGreaterThan(0);
    if (error) expect(storage!.error!.message).toMatch(error);
    await tracked.end();
    // For the next start, with another or a repaired storage.
    expect(
      statSync(
        join(
          status!.journal.directory,
          readdirSync(status!.journal.directory).find((file) => file.endsWith('.log'))!,
        ),
      ).size,
    ).toBeGreaterThan(REQUESTS * 50);
  });
});

test('the storage rejects every record: each is set aside with the reason', async () => {
  const { tracked } = await besides('storage refuses');
  const { status } = await tracked.command('flush');
  expect(status).toMatchObject({
    storages: [{ ok: true, committed: 0, rejected: REQUESTS, lost: 0, lag: { records: 0 } }],
    lastError: { code: 'RECORD_REJECTED', message: expect.stringMatching(/I take no record/) },
  });
  await tracked.end();
  const lines = readFileSync(join(status!.journal.directory, '..', 'rejected.ndjson'), 'utf8')
    .trim()
    .split('\n');
  expect(lines).toHaveLength(REQUESTS);
  expect((await records(tracked)).all).toEqual([]);
});

test('the writer’s thread dies repeatedly: it is restarted, and nothing is lost', async () => {
  const { tracked } = await besides('writer dies');
  let asked = REQUESTS;
  let { status } = await tracked.command('status');
  while (status!.writerRestarts < 6) {
    await tracked.ask(asks);
    asked += asks.length;
    ({ status } = await tracked.command('status'));
  }
  ({ status } = await tracked.command('flush'));
  expect(status).toMatchObject({
    captured: asked,
    storages: [{ committed: asked, rejected: 0, lost: 0, lag: { records: 0 } }],
    lastError: { code: 'WRITER_STOPPED' },
  });
  await tracked.end();
  const { all, hits } = await records(tracked);
  expect({ records: all.length, hits }).toEqual({ records: asked, hits: asked });
});
