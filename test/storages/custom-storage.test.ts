/** Tests the custom storage of `examples` after crashes: a truncated file, and repeated batches. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openReader, openWriter } from '../../examples/custom-storage/json-lines.ts';
import type { StorageWriter } from '../../src/storage/contract.ts';
import { isReplaced } from '../../src/storage/replaced.ts';
import { summariesOf } from '../../src/summaries/standard.ts';
import { TestJournal } from '../../src/testing/batches.ts';

const summaries = summariesOf(['urls']);
const context = { site: 'default', timeZone: 'UTC', durable: true };
let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
  file = join(directory, 'usage.jsonl');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

// The example's types are those of the built package.
const open = () =>
  openWriter({ file, label: 'jsonl:usage.jsonl' }, context) as unknown as Promise<StorageWriter>;

/** Returns the number of hits and of records, from a new reader. */
const stored = async () => {
  const reader = await openReader!({ file, label: 'jsonl:usage.jsonl' });
  const all = { site: 'default', from: 0, to: 8e15, limit: 0, offset: 0 };
  const sums = await reader.sums({ ...all, summary: 'urls', period: 'month', target: undefined });
  const records = await reader.usage(all);
  await reader.close();
  return [sums.reduce((sum, row) => sum + row.hits, 0), records.length];
};

test('a file truncated anywhere in its last line finally has the batch once', {
  timeout: 120_000,
}, async () => {
  const journal = new TestJournal('a', summaries);
  const first = journal.batch([{}]);
  const second = journal.batch([{}, {}]);
  let writer = await open();
  await writer.apply(first);
  const before = (await readFile(file)).length;
  await writer.apply(second);
  await writer.close();
  const content = await readFile(file);
  const step = Math.ceil((content.length - before) / 40);
  for (const end of [
    before + 1,
    ...range(before, content.length, step),
    content.length - 1,
    content.length,
  ]) {
    await writeFile(file, content.subarray(0, end));
    writer = await open();
    const isComplete = end === content.length;
    expect((await writer.position(journal.id))?.position).toBe((isComplete ? second : first).to.position);
    // A line that lacks only its line break becomes valid together with the next one, which then does not count.
    expect(await writer.apply(second)).toBe(!isComplete);
    expect((await writer.position(journal.id))?.position).toBe(second.to.position);
    await writer.close();
    expect(await stored()).toEqual([3, 3]);
  }
});

test('a batch appended by two writers counts once', async () => {
  const [a, b] = await Promise.all([open(), open()]);
  const batch = new TestJournal('a', summaries).batch([{}]);
  expect([await a.apply(batch), await b.apply(batch)]).toEqual([true, false]);
  // The result if both had read the position before either appended.
  const line = (await readFile(file, 'utf8')).trim().split('\n').at(-1)!;
  await writeFile(file, `\n${line}\n`, { flag: 'a' });
  expect(await stored()).toEqual([1, 1]);
  await Promise.all([a.close(), b.close()]);
});

test('a moved file is detected before a batch counts as stored', async () => {
  const writer = await open();
  const journal = new TestJournal('a', summaries);
  expect(await writer.apply(journal.batch([{}]))).toBe(true);
  expect(writer.isReplaced!()).toBe(false);
  await rename(file, `${file}.old`);
  expect(writer.isReplaced!()).toBe(true);
  await expect(writer.apply(journal.batch([{}]))).rejects.toSatisfy(isReplaced);
  await writer.close();
});

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, n) => from + n * step);
}
