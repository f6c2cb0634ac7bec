import { QueryingReader } from '../../storage/querying-reader.ts';
import { RememberedSums } from '../../storage/remembered-sums.ts';
import type { Dialect } from './dialect.ts';
import { FilterQueries } from './filters.ts';
import { SumQueries } from './queries.ts';

/** Reading end whose range queries are written in the SQL of a dialect. */
export abstract class SqlReader extends QueryingReader<FilterQueries> {
  constructor(dialect: Dialect) {
    super(
      new RememberedSums(new SumQueries(dialect), (site) => this.timeZone(site)),
      new FilterQueries(dialect),
    );
  }

  abstract timeZone(site: string): Promise<string | undefined>;
}
