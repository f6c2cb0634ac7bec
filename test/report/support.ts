import { UsageQuery } from '../../src/query/query.ts';
import { type Imprint, makeReport, type Report, type ReportOptions } from '../../src/report/report.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { defineSummary } from '../../src/summaries/define.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { TestJournal, type TestRecord } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';

export const NOW = Date.parse('2026-11-25T20:36:00Z');
export const IMPRINT: Imprint = { now: NOW, version: '1.2.3' };
export const ALL = STANDARD_SUMMARIES.map(({ name }) => name);
export const sumPlans = defineSummary({ name: 'plans', key: () => null });

interface Given extends ReportOptions {
  hooks?: ConstructorParameters<typeof MemoryStorage>[0] extends { hooks?: infer H } | undefined ? H : never;
  timeZone?: string;
  now?: number;
}

/** A full report about these records of the site `shop`. */
export async function reportOf(records: readonly TestRecord[], given: Given = {}): Promise<Report> {
  const { hooks = ALL, timeZone = 'UTC', now = NOW, ...options } = given;
  const storage = new MemoryStorage({ hooks });
  if (records.length > 0) {
    const writer = await openWriter(storage, { site: 'shop', timeZone });
    await writer.apply(new TestJournal('a', storage.summaries, timeZone, 'shop').batch(records));
  }
  const query = new UsageQuery(storage.reader, { site: 'shop', now: () => now });
  return makeReport(query, { full: true, ...options }, now);
}
