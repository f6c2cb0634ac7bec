import { AnsweringReader } from '../answering-reader.ts';
import type { Dialect } from './dialect.ts';
import { FilterQuestions } from './filters.ts';
import { SumQuestions } from './questions.ts';

/** A reading end whose questions over a range are asked in the SQL of a dialect. */
export abstract class SqlReader extends AnsweringReader<FilterQuestions> {
  constructor(dialect: Dialect) {
    super(new SumQuestions(dialect), new FilterQuestions(dialect));
  }
}
