import { z } from 'zod';
import { RANGES } from '../query/range.ts';
import { ORDERS } from '../storage/contract.ts';
import { PERIODS } from '../summaries/periods.ts';

/** Schemas of the HTTP API's parameters and responses. The OpenAPI document is generated from them. */

const LONGEST = 4_096;
/** Maximum number of rows in a JSON response. CSV and NDJSON are streamed without a limit. */
const MOST_ROWS = 1_000;
const MOST_FILTERS = 20;

/** Stored texts never contain NUL, and some databases do not support it. */
const text = z
  .string()
  .max(LONGEST)
  .regex(/^[^\0]*$/, 'expected text without NUL');
/** Converts text to an integer. `Number` would convert a blank to 0. */
const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'expected a whole number')
    .transform(Number)
    .pipe(z.number().int().min(least).max(most));
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const point = text.describe(
  'A date such as `2026-11-25`, `2026-11` or `2026-11-25T10:00:00+01:00`, inclusive; without an offset in the time zone of the site.',
);
const format = z
  .enum(['json', 'csv', 'ndjson'])
  .describe('CSV and NDJSON are streamed, whole, as a download.');

const site = text.describe('The name under which an app stores. Defaults to that of the app, or `default`.');
const common = {
  site: site.optional(),
  range: z.enum(RANGES).optional().describe('Instead of `from` and `to`. Defaults to `30d`.'),
  from: point.optional(),
  to: point.optional(),
  filter: z
    .array(text.regex(/^[a-z][a-z0-9-]*:/, 'expected the name of a summary, a colon and a key'))
    .max(MOST_FILTERS)
    .optional()
    .describe(
      'A summary and one of its keys, `geo:DE`; nothing behind the colon stands for the requests without a key. Several narrow further.',
    ),
};
const compare = flag.optional().describe('Whether the period before is answered too.');

export const siteParameters = z.strictObject({ site: site.optional() });
export const totalsParameters = z.strictObject({ ...common, compare });
export const seriesParameters = z.strictObject({
  ...common,
  compare,
  period: z.enum(PERIODS).optional().describe('Defaults to what suits the range.'),
  summary: text.optional().describe('A summary of which one key alone is wanted.'),
  key: text.optional().describe('That key; empty for the requests without one.'),
  format: format.optional(),
});
export const topParameters = z.strictObject({
  ...common,
  compare,
  order: z.enum(ORDERS).optional().describe('The largest first. Defaults to `hits`.'),
  search: text
    .optional()
    .describe('Part of the key; A to Z are found in either case, other characters as they are.'),
  limit: whole(0, MOST_ROWS)
    .optional()
    .describe('Rows on a page. Defaults to 10; with CSV and NDJSON to all.'),
  page: whole(1, 1_000_000).optional().describe('Counted from 1.'),
  format: format.optional(),
});
export const recordsParameters = z.strictObject({
  ...common,
  after: text.optional().describe('The `next` of the previous answer.'),
  limit: whole(1, MOST_ROWS).optional().describe('Defaults to 100; with CSV and NDJSON to all.'),
  format: format.optional(),
});

const measures = {
  hits: z.number().describe('Requests.'),
  transfer: z.number().describe('Body bytes.'),
  errors: z.number().describe('Responses with a status of 500 or more.'),
  duration: z.number().describe('µs, all requests together.'),
};
const measured = z.object(measures);
const totals = z.object({
  ...measures,
  visitors: z.number().nullable().describe('Different cookie visitors; null where no summary tells.'),
  bots: z.number().nullable().describe('Requests of robots; null where no summary tells.'),
});
const coverage = z
  .object({
    complete: z.boolean().describe('Whether every stored request of the range is counted.'),
    gaps: z.array(
      z.object({
        summary: z.string().describe('A summary that the storage did not keep all the time.'),
        from: z.string().describe('The first hour from which a request is missing.'),
        to: z.string().describe('The last such hour, inclusive.'),
        hits: z.number().describe('Requests of these hours that the summary does not count.'),
      }),
    ),
  })
  .describe('Which part of the range the summaries behind the answer cover.');
const bucket = totals.extend({ date: z.string().describe("Its beginning, with the site's offset.") });
const range = z.object({
  from: z.string().describe('The first hour.'),
  to: z.string().describe('The last hour, inclusive.'),
});
const head = { site: z.string(), timeZone: z.string(), range };
const key = z.string().nullable();
const object = z.record(z.string(), z.unknown());

export const siteAnswer = z.object({
  site: z.string(),
  timeZone: z.string(),
  summaries: z.array(
    z.object({ name: z.string(), title: z.string(), own: z.boolean(), filter: z.boolean() }),
  ),
  version: z.string(),
  status: object.nullable().describe('`usage.status()`; null if no app runs.'),
});
export const statusAnswer = z.object({ status: object.nullable() });
export const totalsAnswer = z.object({
  ...head,
  totals,
  coverage,
  previous: z.object({ range, totals }).nullable(),
});
export const seriesAnswer = z.object({
  ...head,
  period: z.enum(PERIODS),
  buckets: z.array(bucket),
  coverage,
  previous: z.object({ range, buckets: z.array(bucket) }).nullable(),
});
export const topAnswer = z.object({
  ...head,
  summary: z.string(),
  order: z.enum(ORDERS),
  rows: z.array(z.object({ key, ...measures, previous: measured.nullable() })),
  count: z.number().describe('How many keys match.'),
  total: measured,
  others: measured.describe('The total without the rows.'),
  coverage,
});
export const recordsAnswer = z.object({
  ...head,
  records: z
    .array(
      z.looseObject({
        date: z.string().describe("Arrival of the request, to the millisecond, with the site's offset."),
      }),
    )
    .describe('As `UsageRecord`, newest first.'),
  next: z.string().nullable(),
});
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
});
