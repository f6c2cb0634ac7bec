import { TrackUsageError } from '../errors.ts';
import { ClosedMonths } from './closed-months.ts';
import type { StorageReader } from './contract.ts';
import { foldKeys, foldSeries, foldTotal } from './fold-sums.ts';
import { olderByDate, searchRecords } from './search-records.ts';

/** A reading end that answers every question, or says that its engine cannot. */
export interface CompleteReader extends Required<Omit<StorageReader, 'isReplaced'>> {
  /**
   * Whether what matches can be added up: without that, `matchingKeys` and `matchingSeries` reject with
   * `FILTER_UNSUPPORTED`.
   */
  canFilter(): Promise<boolean>;
}

/** The methods of a `CompleteReader` that are questions. */
export const QUESTIONS = [
  'timeZone',
  'summaries',
  'sums',
  'usage',
  'scan',
  'keys',
  'total',
  'series',
  'matchingKeys',
  'matchingSeries',
  'matchingRecords',
  'canFilter',
] as const satisfies readonly (keyof CompleteReader)[];
export type QuestionName = (typeof QUESTIONS)[number];

/** Adds what an engine leaves out. */
export function complete(reader: StorageReader): CompleteReader {
  const refuse = async (): Promise<never> => {
    throw new TrackUsageError('FILTER_UNSUPPORTED');
  };
  const folded = new ClosedMonths({
    keys: (request) => foldKeys(reader, request),
    total: (request) => foldTotal(reader, request),
  });
  return {
    timeZone: (site) => reader.timeZone(site),
    summaries: (site) => reader.summaries(site),
    sums: (request) => reader.sums(request),
    usage: (request) => reader.usage(request),
    scan: (request) => reader.scan(request),
    keys: (request) => reader.keys?.(request) ?? folded.keys(request),
    total: (request) => reader.total?.(request) ?? folded.total(request),
    series: (request) => reader.series?.(request) ?? foldSeries(reader, request),
    matchingKeys: (request) => reader.matchingKeys?.(request) ?? refuse(),
    matchingSeries: (request) => reader.matchingSeries?.(request) ?? refuse(),
    matchingRecords: (request) =>
      reader.matchingRecords?.(request) ?? searchRecords(olderByDate(reader, request), request),
    canFilter: async () => reader.matchingKeys !== undefined,
    close: () => reader.close(),
  };
}

/** A reading end whose questions are passed on to wherever they are answered. */
export function forwardingReader(
  ask: (method: QuestionName, argument: unknown) => Promise<unknown>,
  close: () => Promise<void>,
): CompleteReader {
  const questions = QUESTIONS.map((method) => [method, (argument: unknown) => ask(method, argument)]);
  return { ...Object.fromEntries(questions), close } as CompleteReader;
}
