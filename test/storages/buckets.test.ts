import { expect, test } from 'vitest';
import { cheapestRead, splitAtToday } from '../../src/storage/buckets.ts';
import type { Span } from '../../src/storage/contract.ts';
import { calendar } from '../../src/summaries/periods.ts';

const zone = calendar('UTC');
const [october, november, december] = [9, 10, 11].map((month) => Date.UTC(2026, month)) as [
  number,
  number,
  number,
];
const today = Date.UTC(2026, 10, 24);
const THIS_MONTH: Span = { period: 'month', from: november, to: december - 1 };
const MOST_OF_OCTOBER: Span = { period: 'day', from: Date.UTC(2026, 9, 3), to: november - 1 };

test('the current month is read as its days, unless some of them have expired', () => {
  const days = [
    { period: 'day', from: november, to: today - 1 },
    { period: 'day', from: today, to: december - 1 },
  ];
  expect(splitAtToday([THIS_MONTH], zone, today)).toEqual(days);
  expect(splitAtToday([THIS_MONTH], zone, today, november)).toEqual(days);
  for (const daysFrom of [november + 1, december]) {
    const found = splitAtToday([THIS_MONTH], zone, today, daysFrom);
    expect(found.map(({ period }) => period)).toEqual(['month', 'month']);
  }
});

test('most days of a month are read as the month minus its other days, unless some of them have expired', () => {
  const { spans, less } = cheapestRead(MOST_OF_OCTOBER, zone, today);
  expect(spans).toEqual([{ period: 'month', from: october, to: november - 1 }]);
  expect(less).toEqual([{ period: 'day', from: october, to: Date.UTC(2026, 9, 3) - 1 }]);
  expect(cheapestRead(MOST_OF_OCTOBER, zone, today, october)).toEqual({ spans, less });
  expect(cheapestRead(MOST_OF_OCTOBER, zone, today, october + 1)).toEqual({
    spans: [MOST_OF_OCTOBER],
    less: [],
  });
});
