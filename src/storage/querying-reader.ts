import type {
  Keys,
  KeysRequest,
  MatchingKeysRequest,
  MatchingRow,
  MatchingSeriesRequest,
  SeriesRequest,
  SeriesRow,
  StorageReader,
  Total,
  TotalRequest,
} from './contract.ts';

type FromSums = Required<Pick<StorageReader, 'keys' | 'total' | 'series'>>;
type FromRecords = Required<Pick<StorageReader, 'matchingKeys' | 'matchingSeries'>>;

/** Base of a reading end that forwards range queries to the object that queries its engine. */
export abstract class QueryingReader<Filters extends FromRecords> implements FromSums, FromRecords {
  protected readonly filters: Filters;
  readonly #sums: FromSums;

  constructor(sums: FromSums, filters: Filters) {
    this.#sums = sums;
    this.filters = filters;
  }

  keys(request: KeysRequest): Promise<Keys> {
    return this.#sums.keys(request);
  }

  total(request: TotalRequest): Promise<Total> {
    return this.#sums.total(request);
  }

  series(request: SeriesRequest): Promise<SeriesRow[]> {
    return this.#sums.series(request);
  }

  matchingKeys(request: MatchingKeysRequest): Promise<Keys> {
    return this.filters.matchingKeys(request);
  }

  matchingSeries(request: MatchingSeriesRequest): Promise<MatchingRow[]> {
    return this.filters.matchingSeries(request);
  }
}
