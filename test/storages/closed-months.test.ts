import { expect, test } from 'vitest';
import { STANDARD_SUMMARIES, type Summary, sumUrls } from '../../src/index.ts';
import { ClosedMonths } from '../../src/storage/closed-months.ts';
import type { KeysRequest, Span, TotalRequest } from '../../src/storage/contract.ts';
import { foldKeys, foldTotal } from '../../src/storage/fold-sums.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';

const YEAR: Span = { period: 'month', from: Date.UTC(2026, 0, 1), to: Date.UTC(2027, 0, 1) - 1 };
const PAGE = { order: 'hits', search: undefined, limit: 10, offset: 0 } as const;

/** A year of requests, and what is asked of the engine behind the months that are over. */
async function year(hooks: readonly Summary[]) {
  const storage = new MemoryStorage({ hooks });
  const writer = await openWriter(storage);
  const journal = new TestJournal('a', storage.summaries);
  const add = (dates: number[], url: string) =>
    writer.apply(journal.batch(dates.map((date) => ({ date, url, visitor: url }))));
  for (let month = 0; month < 12; month++) {
    const date = Date.UTC(2026, month, 1);
    await add([date, date + 1], 'each');
    await add([date], `only-${month}`);
    await add([Date.UTC(2026, month + 1, 1) - 1], 'last');
  }
  const asked: KeysRequest[] = [];
  const engine = {
    keys: (request: KeysRequest) => {
      asked.push(request);
      return foldKeys(storage.reader, request);
    },
    total: (request: TotalRequest) => foldTotal(storage.reader, request),
  };
  return { add, asked, months: new ClosedMonths(engine), engine };
}

test('months that are over are added up once', async () => {
  const { asked, months, engine } = await year(STANDARD_SUMMARIES);
  for (const span of [
    YEAR,
    { ...YEAR, to: Date.UTC(2026, 10, 1) - 1 },
    { ...YEAR, from: Date.UTC(2026, 1, 1) },
  ]) {
    for (const summary of ['urls', 'visitors', 'status']) {
      const request = { site: 'default', summary, spans: [span], ...PAGE };
      for (let time = 0; time < 3; time++) {
        expect(await months.keys(request)).toEqual(await engine.keys(request));
        const total = { site: 'default', summary, spans: [span], target: undefined };
        expect(await months.total(total)).toEqual(await engine.total(total));
      }
    }
  }
  const whole = asked.filter(
    ({ spans, limit }) => limit > 10 && spans[0]!.to - spans[0]!.from > 200 * 86_400_000,
  );
  expect(whole.length).toBe(9);
});

test('what comes late to a month that is over is there at once', async () => {
  const { add, months } = await year([sumUrls]);
  const request = { site: 'default', summary: 'urls', spans: [YEAR], ...PAGE };
  expect((await months.keys(request)).rows[0]).toMatchObject({ key: 'each', hits: 24 });
  await add([Date.UTC(2026, 2, 5), Date.UTC(2026, 11, 31)], 'each');
  expect((await months.keys(request)).rows[0]).toMatchObject({ key: 'each', hits: 26 });
});
