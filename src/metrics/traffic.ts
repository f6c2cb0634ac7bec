import { bound, Exposition, label } from './exposition.ts';
import { BOUNDS, type RequestCounter, type RequestSeries } from './request-counter.ts';

/** `le` label of each bucket. */
const LIMITS = [...BOUNDS.map((microseconds) => bound(microseconds / 1e6)), '+Inf'].map((text) =>
  label('le', text),
);

/** Formats the request metrics of an app. */
export function trafficText(counter: RequestCounter, openMetrics: boolean): string {
  const all = [...counter.series()].map((series) => ({ ...series, labels: labelsOf(series) }));
  const text = new Exposition(openMetrics);
  text.begin('track_usage_http_requests', 'counter', 'Completed requests.');
  for (const { buckets, labels } of all) text.sample(sum(buckets), labels);
  text.begin('track_usage_http_response_bytes', 'counter', 'Body bytes of the responses.');
  for (const { bytes, labels } of all) text.sample(bytes, labels);
  text.begin(
    'track_usage_http_request_duration_seconds',
    'histogram',
    'Time from the arrival of a request to the end of its response.',
  );
  for (const { buckets, duration, labels } of all) {
    let count = 0;
    for (const [index, requests] of buckets.entries()) {
      count += requests;
      text.sample(count, `${labels},${LIMITS[index]}`, '_bucket');
    }
    text.sample(duration / 1e6, labels, '_sum').sample(count, labels, '_count');
  }
  return text.toString();
}

function labelsOf({ route, method, status }: RequestSeries): string {
  return [label('route', route), label('method', method), label('status', status)].join();
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}
