import { AnsweringReader } from '../../storage/answering-reader.ts';
import type { Dialect } from './dialect.ts';
import { FilterQuestions } from './filters.ts';
import { SumQuestions } from './questions.ts';
import { RememberedSums } from './remembered-sums.ts';

/** Reading end whose range queries are written in the SQL of a dialect. */
export abstract class SqlReader extends AnsweringReader<FilterQuestions> {
  constructor(dialect: Dialect) {
    super(
      new RememberedSums(new SumQuestions(dialect), (site) => this.timeZone(site)),
      new FilterQuestions(dialect),
    );
  }

  abstract timeZone(site: string): Promise<string | undefined>;
}
