import * as v from 'valibot';
import { common, described, MAX_FILTER_LENGTH, object, parameters } from './schemas.ts';

/** Schemas of a batch: see `sendBatch`. */

/** Maximum number of queries in a batch. */
const MAX_BATCH = 20;

export const batchParameters = parameters({
  ...common,
  query: v.pipe(
    v.array(described(v.pipe(v.string(), v.maxLength(MAX_FILTER_LENGTH)), 'Query.'), 'expected a query'),
    v.minLength(1, 'expected a query'),
    v.maxLength(MAX_BATCH, `expected at most ${MAX_BATCH}`),
    v.description(
      'Path of a query and its own parameters, such as `totals?compare=true` or `summaries/urls?limit=8`. Repeat it for more.',
    ),
  ),
});

/** One line of a batch. */
export const batchLine = v.strictObject({
  index: described(v.number(), 'Number of the query in the request, from 0.'),
  status: described(v.number(), 'Status of its response.'),
  body: described(object, 'Its response, or the problem details of its error.'),
});
