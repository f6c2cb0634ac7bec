import * as v from 'valibot';
import { COMPARISONS } from '../query/comparison.ts';
import { MAX_MINUTES } from '../query/minutes.ts';
import { BOTS } from '../query/query-types.ts';
import { RANGES } from '../query/range.ts';
import { ORDERS } from '../storage/contract.ts';
import { PARTS } from '../storage/retention.ts';
import { PERIODS } from '../summaries/periods.ts';
import { TEXT_LIMITS } from '../text/text.ts';

/** Schemas of the HTTP API's parameters and responses. The OpenAPI document is generated from them. */

/** Maximum length of a text, in UTF-16 units: that of the longest stored key, a URL. */
const MAX_TEXT_LENGTH = TEXT_LIMITS.url;
/** Maximum length of a filter: a summary's name, a colon, and a key. */
export const MAX_FILTER_LENGTH = 41 + MAX_TEXT_LENGTH;
/** Maximum number of rows in a JSON response. CSV and NDJSON are streamed without a limit. */
const MAX_ROWS = 1_000;
const MAX_FILTERS = 20;
const tooLong = (length: number) => `expected at most ${length} characters`;

export const described = <S extends v.GenericSchema>(schema: S, text: string) =>
  v.pipe(schema, v.description(text)) as v.GenericSchema<v.InferInput<S>, v.InferOutput<S>>;

/** Stored texts never contain NUL, and some databases do not support it. */
const text = v.pipe(
  v.string('expected one value'),
  v.maxLength(MAX_TEXT_LENGTH, tooLong(MAX_TEXT_LENGTH)),
  v.regex(/^[^\0]*$/, 'expected text without NUL'),
);
/** Converts text to an integer. `Number` would convert a blank to 0. */
const integer = (min: number, max: number, description: string) => {
  const message = `expected a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string('expected one value'),
    v.regex(/^\d{1,10}$/, message),
    v.description(description),
    v.transform(Number),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
};
const oneOf = <const O extends readonly string[]>(options: O) =>
  v.picklist(options, `expected one of ${options.map((option) => `"${option}"`).join(', ')}`);
const latency = v.optional(
  v.pipe(
    oneOf(['true', 'false']),
    v.description('Includes percentiles of the durations. Defaults to `true` with `threshold`.'),
    v.transform((value) => value === 'true'),
  ),
);
const threshold = v.optional(
  integer(0, 9_999_999_999, 'A duration in µs, for the share of requests that took longer.'),
);
const point = described(
  text,
  'A date such as `2026-11-25`, `2026-11` or `2026-11-25T10:00:00+01:00`, inclusive. Without an offset, it is in the time zone of the site.',
);
const comparison = {
  compare: v.optional(
    described(
      oneOf(['true', 'false', ...COMPARISONS]),
      'Includes another period: the previous one, the latest one with the same days of the week, or the same dates of the year before.',
    ),
  ),
  compareFrom: v.optional(described(text, 'Start of the other period, instead of `compare`.')),
  compareTo: v.optional(described(text, 'End of the other period, inclusive. Defaults to now.')),
};
const format = described(
  oneOf(['json', 'csv', 'ndjson']),
  'CSV and NDJSON are streamed as a complete download.',
);

const site = described(text, 'Name of the site. Defaults to that of the app, or `default`.');
/** Parameters of every range query. */
export const common = {
  site: v.optional(site),
  range: v.optional(described(oneOf(RANGES), 'Instead of `from` and `to`. Defaults to `30d`.')),
  from: v.optional(point),
  to: v.optional(point),
  filter: v.optional(
    v.pipe(
      v.array(
        v.pipe(
          v.string(),
          v.maxLength(MAX_FILTER_LENGTH, tooLong(MAX_FILTER_LENGTH)),
          v.regex(
            /^[a-z][a-z0-9-]*(:[^\0]*)?$/,
            'expected the name of a summary, or the name, a colon and a key without NUL',
          ),
        ),
      ),
      v.maxLength(MAX_FILTERS, `expected at most ${MAX_FILTERS}`),
      v.description(
        'A summary and one of its keys, `geo:DE`. A summary alone, `geo`, selects the requests without a key, and an empty key, `geo:`, those whose key had no room in the budget. Several filters are combined with AND.',
      ),
    ),
  ),
  bots: v.optional(described(oneOf(BOTS), 'Requests to count. Defaults to `include`.')),
};

export const parameters = <E extends v.ObjectEntries>(entries: E) =>
  v.strictObject(entries, 'unknown parameter');

export const noParameters = parameters({});
export const siteParameters = parameters({ site: common.site });
export const totalsParameters = parameters({ ...common, ...comparison, latency, threshold });
export const seriesParameters = parameters({
  ...common,
  ...comparison,
  latency,
  threshold,
  period: v.optional(described(oneOf(PERIODS), 'Defaults to a period that suits the range.')),
  summary: v.optional(
    described(text, 'Limits the response to one key of this summary, or to the requests without one.'),
  ),
  key: v.optional(
    described(
      text,
      'The key; empty for the requests whose key had no room in the budget. Omitted for those without a key.',
    ),
  ),
  format: v.optional(format),
});
export const topParameters = parameters({
  ...common,
  ...comparison,
  latency,
  threshold,
  order: v.optional(described(oneOf(ORDERS), 'Sort order, largest first. Defaults to `hits`.')),
  search: v.optional(
    described(text, 'Part of the key. A to Z match case-insensitively, other characters exactly.'),
  ),
  limit: v.optional(integer(0, MAX_ROWS, 'Rows per page. Defaults to 10, or all for CSV and NDJSON.')),
  page: v.optional(integer(1, 1_000_000, 'Page number, from 1.')),
  format: v.optional(format),
});
export const minutesParameters = parameters({
  site: common.site,
  filter: common.filter,
  bots: common.bots,
  minutes: v.optional(integer(1, MAX_MINUTES, 'Number of minutes, up to now. Defaults to 60.')),
});
export const recordsParameters = parameters({
  ...common,
  after: v.optional(described(text, 'The `next` of the previous page.')),
  limit: v.optional(integer(1, MAX_ROWS, 'Defaults to 100, or all for CSV and NDJSON.')),
  format: v.optional(format),
});

const measures = {
  hits: described(v.number(), 'Requests.'),
  transfer: described(v.number(), 'Body bytes.'),
  errors: described(v.number(), 'Responses with a status of 500 or more.'),
  duration: described(v.number(), 'Sum over all requests, in µs.'),
};
const measured = v.strictObject(measures);
const percentile = (name: string) => described(v.number(), `${name}, in µs, within 2.5 %.`);
const withLatency = {
  latency: v.optional(
    described(
      v.nullable(
        v.strictObject({
          hits: described(v.number(), 'Requests that the percentiles count.'),
          p50: percentile('Median'),
          p75: percentile('75th percentile'),
          p90: percentile('90th percentile'),
          p95: percentile('95th percentile'),
          p99: percentile('99th percentile'),
          above: described(
            v.nullable(v.number()),
            'Share of requests that took longer than `threshold`, from 0 to 1; null without one.',
          ),
        }),
      ),
      'Distribution of durations, if requested. null if none is stored for the range, with a filter, and with `bots` other than `include`.',
    ),
  ),
};
const totals = v.strictObject({
  ...measures,
  ...withLatency,
  visitors: described(
    v.nullable(v.number()),
    'Distinct visitors; null if no summary covers them, a lower bound if the budget was reached.',
  ),
  bots: described(v.nullable(v.number()), 'Requests by bots; null for a single key without a filter.'),
});
const coverage = described(
  v.strictObject({
    complete: described(v.boolean(), 'True if every stored request of the range is counted.'),
    gaps: v.array(
      v.strictObject({
        summary: described(v.string(), 'A summary that the storage did not keep during the whole range.'),
        from: described(v.string(), 'First hour with a missing request.'),
        to: described(v.string(), 'Last hour with a missing request, inclusive.'),
        hits: described(v.number(), 'Number of requests in these hours that the summary does not count.'),
      }),
    ),
  }),
  'Part of the range that the summaries of the response cover.',
);
const bucket = v.strictObject({
  ...totals.entries,
  date: described(v.string(), "Start of the bucket, with the site's offset."),
});
const range = v.strictObject({
  from: described(v.string(), 'The first hour.'),
  to: described(v.string(), 'The last hour, inclusive.'),
});
const expired = described(
  v.array(
    v.strictObject({
      part: described(v.picklist(PARTS), 'Part of the storage: the records, or the buckets of a period.'),
      before: described(v.string(), 'Start of the data that is kept.'),
      answeredFrom: described(
        v.nullable(v.picklist(PERIODS)),
        'Period from which the response was read instead; null if it starts with the data that is kept.',
      ),
    }),
  ),
  'Data that the response lacks, because it is older than the retention of the storage.',
);
const budget = described(
  v.strictObject({
    reached: described(v.boolean(), 'True if requests of the range are counted under the empty key.'),
  }),
  'Keys beyond the budget of the summary, or of `visitors`.',
);
const head = { site: v.string(), timeZone: v.string(), range, expired };
const key = described(
  v.nullable(v.string()),
  'null for the requests without a key, empty for those whose key had no room in the budget.',
);
export const object = v.record(v.string(), v.unknown());

export const siteResponse = v.strictObject({
  site: v.string(),
  timeZone: v.string(),
  summaries: v.array(
    v.strictObject({ name: v.string(), title: v.string(), custom: v.boolean(), filter: v.boolean() }),
  ),
  since: described(
    v.nullable(v.string()),
    'Start of the first month with stored data; null if nothing is stored.',
  ),
  retention: described(
    v.array(
      v.strictObject({
        part: v.picklist(PARTS),
        keep: described(v.string(), 'Retention period, such as `90d`.'),
        before: described(
          v.nullable(v.string()),
          'Start of the data that is kept; null if nothing has expired.',
        ),
      }),
    ),
    'Parts of the storage that are not kept forever.',
  ),
  version: v.string(),
  verify: described(v.boolean(), 'True if `/verify` is available.'),
  status: described(v.nullable(object), '`usage.status()`; null if no app runs.'),
});
export const verifyResponse = v.strictObject({
  site: v.string(),
  date: described(v.string(), 'Date of yesterday in the time zone of the site.'),
  compared: described(v.number(), 'Number of buckets that were compared, over all summaries.'),
  count: described(v.number(), 'Number of sums that differ.'),
  differences: described(
    v.array(
      v.strictObject({
        summary: v.string(),
        period: v.picklist(PERIODS),
        date: described(v.string(), "Start of the bucket, with the site's offset."),
        key,
        stored: measured,
        counted: measured,
      }),
    ),
    'Sums that differ, at most 20.',
  ),
  notCovered: described(v.number(), 'Number of buckets that the records do not cover.'),
});
export const statusResponse = v.strictObject({ status: v.nullable(object) });
export const totalsResponse = v.strictObject({
  ...head,
  totals,
  coverage,
  budget,
  dailyVisitors: described(
    v.boolean(),
    'True if `visitors` is the sum of daily visitors, who count once per day.',
  ),
  previous: v.nullable(v.strictObject({ range, totals })),
});
export const seriesResponse = v.strictObject({
  ...head,
  period: v.picklist(PERIODS),
  buckets: v.array(bucket),
  coverage,
  budget,
  previous: v.nullable(v.strictObject({ range, buckets: v.array(bucket) })),
});
export const topResponse = v.strictObject({
  ...head,
  summary: v.string(),
  order: v.picklist(ORDERS),
  rows: v.array(v.strictObject({ key, ...measures, ...withLatency, previous: v.nullable(measured) })),
  count: described(v.number(), 'Number of matching keys, including null and the empty key.'),
  total: described(measured, 'The sum of the matching keys.'),
  all: described(measured, 'The sum of all keys, also of those that do not match `search`.'),
  others: described(measured, 'The sum of the remaining keys.'),
  coverage,
  budget,
});
export const minutesResponse = v.strictObject({
  site: v.string(),
  timeZone: v.string(),
  buckets: described(
    v.array(
      v.strictObject({
        ...measures,
        date: described(v.string(), "Start of the minute, with the site's offset."),
      }),
    ),
    'All minutes, including empty ones, oldest first. The last one is not over.',
  ),
});
export const recordsResponse = v.strictObject({
  ...head,
  records: described(
    v.array(
      v.looseObject({
        date: described(v.string(), "Arrival of the request, to the millisecond, with the site's offset."),
      }),
    ),
    'As `UsageRecord`, newest first.',
  ),
  next: v.nullable(v.string()),
});
export const problem = v.strictObject({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  code: v.string(),
});
