import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exportSite } from '../../src/copy/export.ts';
import { restore } from '../../src/copy/restore.ts';
import { defineSummary, forget, rebuild, sumUrls, verify } from '../../src/index.ts';
import type { Storage } from '../../src/query/storage.ts';
import { pruneSteps } from '../../src/storage/prune.ts';
import { prunePlan } from '../../src/storage/prune-plan.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { OTHERS } from '../../src/summaries/coverage.ts';
import { calendar } from '../../src/summaries/periods.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { NOON, TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { Random } from '../../src/testing/random.ts';
import { openWriter } from '../../src/testing/support.ts';
import { change } from '../maintenance/support.ts';
import { derivedColumns } from './support.ts';

const HOOKS = [...STANDARD_SUMMARIES, defineSummary({ name: 'plans', key: () => null })];
const ZONE = 'Asia/Kathmandu';
const BOTH = { site: 'default', records: true, summaries: true };

function temporaryFile(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-export-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, name);
}

function open(storage: Storage): Storage {
  onTestFinished(() => storage.close());
  return storage;
}

const sqlite = () => open(new SqliteStorage(temporaryFile('usage.db'), { hooks: HOOKS }));

/** Fills a storage with everything that an export must keep. */
async function fill(storage: Storage, count: number, timeZone = ZONE, hooks = HOOKS): Promise<void> {
  const writer = await openWriter(storage, { timeZone });
  const random = new Random(11);
  const records: TestRecord[] = Array.from({ length: count }, (_, n) => ({
    ...random.record(),
    urlKey: n % 4 === 0 ? `/key/${n % 8}` : null,
    ...derivedColumns(n),
    date: NOON - Math.floor(random.next() * 60 * 24 * 3_600_000),
    agent: `agent ${n % 7}`,
    ...(n % 5 === 0 && { bot: true, browser: 'Bot' }),
    extra: { vars: { n }, ...(n % 3 === 0 && { keys: { plans: ['gold', `plan ${n % 5}`] } }) },
  }));
  // Bots are no visitors.
  for (const record of records) if (record.bot) record.visitor = null;
  const hostile = HOSTILE_TEXTS.map((text, n) => ({
    url: text,
    agent: text,
    date: NOON + n,
    remoteAddr: '::1',
  }));
  await writer.apply(new TestJournal('a', hooks, timeZone).batch([...records, ...hostile]));
  await writer.close();
}

async function exported(from: Storage, parts = BOTH): Promise<string> {
  let text = '';
  await exportSite({ from, ...parts }, async (piece) => {
    text += piece;
  });
  return text;
}

/** Returns the lines without the head's ID and date, and the end. */
const contents = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .slice(0, -1)
    .map((line, n) => (n === 0 ? { ...JSON.parse(line), id: '', date: 0 } : line));

function written(text: string): string {
  const file = temporaryFile('usage.ndjson');
  writeFileSync(file, text);
  return file;
}

describe('export and restore', () => {
  test('the round trip between storages is exact, with everything that is stored', async () => {
    const from = sqlite();
    await fill(from, 300, 'UTC');
    const writer = await openWriter(from);
    await change(writer, 'urls', 'day', NOON, { [OTHERS]: 3, null: 2 });
    const keep = { records: '20d', hour: '20d', day: 'forever', month: 'forever' } as const;
    for await (const _ of pruneSteps(writer.maintenance!, prunePlan(keep, calendar('UTC'), NOON), 'test'));
    await writer.close();
    await forget({ storage: from, person: { column: 'visitor', value: 'v1' } });
    const text = await exported(from);
    expect(text).toContain('["urls","day",');

    const memory = open(new MemoryStorage({ hooks: HOOKS }));
    const result = await restore({ file: written(text), to: memory });
    expect(result).toEqual({
      site: 'default',
      records: text.match(/^\{"record":/gm)!.length,
      sums: text.match(/^\{"sum":/gm)!.length,
    });
    const second = await exported(memory);
    expect(contents(second)).toEqual(contents(text));
    const back = sqlite();
    await restore({ file: written(second), to: back });
    expect(contents(await exported(back))).toEqual(contents(text));
    expect(await back.reader.retention('default')).toEqual(await from.reader.retention('default'));
    // Only the damage is found: pruned buckets and those of deleted people are known.
    const found = await verify({ storage: back, from: '2026-11-24', to: '2026-11-24' });
    expect(found).toEqual(await verify({ storage: from, from: '2026-11-24', to: '2026-11-24' }));
  });

  test('an interrupted restore continues where it stopped, and a repeated one changes nothing', async () => {
    const from = sqlite();
    await fill(from, 11_000, ZONE, [sumUrls]);
    const text = await exported(from);
    const file = written(text);
    const to = sqlite();
    for (const [stopStep, minimum] of [
      ['records', 10_000],
      ['sums', 1],
    ] as const) {
      const stop = new Error('interrupted');
      const interrupted = restore({
        file,
        to,
        toSite: 'copy',
        onProgress: ({ step, rows }) => {
          if (step === stopStep && rows >= minimum) throw stop;
        },
      });
      await expect(interrupted).rejects.toBe(stop);
    }
    const result = await restore({ file, to, toSite: 'copy' });
    expect(await restore({ file, to, toSite: 'copy' })).toEqual(result);
    const lines = contents(await exported(to, { ...BOTH, site: 'copy' }));
    expect(lines.slice(1)).toEqual(contents(text).slice(1));
    expect(await to.reader.timeZone('copy')).toBe(ZONE);
  });

  test('a truncated or changed file is refused, and changes nothing', async () => {
    const from = sqlite();
    await fill(from, 5);
    const text = await exported(from);
    const to = open(new MemoryStorage({ hooks: HOOKS }));
    const cases: [text: string, reason: RegExp][] = [
      ['', /it is empty/],
      ['a,b\n', /its first line is not that of an export in NDJSON/],
      ['{"track-usage":2}\n', /its first line is not/],
      [text.slice(0, text.indexOf('\n') + 1), /it is truncated/],
      [text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1), /it is truncated/],
      [text.slice(0, -10), /do not match the digest/],
      [text.replace('"status":200', '"status":500'), /do not match the digest/],
      [text.replace(/\{"sum":.*\n/, ''), /do not match the digest/],
      [
        text + text.split('\n').find((line) => line.startsWith('{"record":')),
        /it continues after its trailer/,
      ],
      [text + text, /it continues after its trailer/],
    ];
    for (const [changed, reason] of cases) {
      expect(changed).not.toBe(text);
      const refused = restore({ file: written(changed), to });
      await expect(refused).rejects.toMatchObject({
        code: 'EXPORT_INVALID',
        message: expect.stringMatching(reason),
      });
    }
    await expect(restore({ file: temporaryFile('none'), to })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
    expect(await to.reader.timeZone('default')).toBeUndefined();
  });

  test('a site with data is refused', async () => {
    const from = sqlite();
    await fill(from, 5);
    const file = written(await exported(from));
    await expect(restore({ file, to: from })).rejects.toMatchObject({ code: 'COPY_TARGET' });
    expect((await restore({ file, to: from, toSite: 'other' })).site).toBe('other');
  });

  test('records alone can be restored, and the summaries rebuilt', async () => {
    const from = sqlite();
    await fill(from, 50);
    const to = sqlite();
    await restore({ file: written(await exported(from, { ...BOTH, summaries: false })), to });
    await rebuild({ storage: to, summaries: STANDARD_SUMMARIES });
    const sums = (lines: unknown[]) =>
      lines.filter((line) => /^\{"sum":\["(?!plans|coverage|changes)/.test(String(line)));
    expect(sums(contents(await exported(to)))).toEqual(sums(contents(await exported(from))));
  });

  test('summaries alone can be restored, and are known to have no records', async () => {
    const from = sqlite();
    await fill(from, 20);
    const to = sqlite();
    const text = await exported(from, { ...BOTH, records: false });
    await restore({ file: written(text), to });
    expect(await verify({ storage: to })).toMatchObject({ count: 0, compared: 0 });
    const again = await exported(to, { ...BOTH, records: false });
    expect(contents(again).slice(1)).toEqual(contents(text).slice(1));
  });

  test('sums that were changed this month, before the export, are no change during it', async () => {
    const path = temporaryFile('usage.db');
    const changed = open(new SqliteStorage(path, { hooks: [sumUrls] }));
    const writer = await openWriter(changed, { timeZone: 'UTC' });
    await writer.apply(new TestJournal('a', [sumUrls]).batch([{ date: Date.now(), remoteAddr: '::1' }]));
    await writer.close();
    await forget({ storage: changed, person: { column: 'remoteAddr', value: '::1' } });
    const from = open(new SqliteStorage(path));
    expect(await exportSite({ from, ...BOTH }, async () => {})).toMatchObject({
      records: 0,
      isChanged: false,
    });
  });

  test('an export says that an app stored requests meanwhile', async () => {
    const from = sqlite();
    await fill(from, 5);
    const still = await exportSite({ from, ...BOTH }, async () => {});
    expect(still.isChanged).toBe(false);
    const writer = await openWriter(from, { timeZone: ZONE });
    const journal = new TestJournal('b', [], ZONE);
    const changed = await exportSite({ from, ...BOTH }, async () => {
      await writer.apply(journal.batch([{}]));
    });
    await writer.close();
    expect(changed.isChanged).toBe(true);
    await expect(exportSite({ from, ...BOTH, site: 'x' }, async () => {})).rejects.toMatchObject({
      code: 'SITE_EMPTY',
    });
  });
});
