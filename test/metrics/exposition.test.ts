import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bound, Exposition, label } from '../../src/metrics/exposition.ts';
import { healthText } from '../../src/metrics/health.ts';
import { RequestCounter } from '../../src/metrics/request-counter.ts';
import { trafficText } from '../../src/metrics/traffic.ts';
import type { UsageStatus } from '../../src/writer/app/status.ts';
import { parseExposition } from './parse-exposition.ts';
import { status, storage } from './status.ts';

const lines = (text: string) => text.trim().split('\n');

describe('exposition', () => {
  test.each([
    [false, '# HELP lamps_total Lit.', '# TYPE lamps_total counter'],
    [true, '# HELP lamps Lit.', '# TYPE lamps counter'],
  ])('formats a counter (OpenMetrics: %s)', (openMetrics, ...head) => {
    const text = new Exposition(openMetrics).begin('lamps', 'counter', 'Lit.');
    text.sample(3, label('colour', 'red')).sample(4);
    expect(lines(text.toString())).toEqual([...head, 'lamps_total{colour="red"} 3', 'lamps_total 4']);
  });

  test('formats request metrics', () => {
    const counter = new RequestCounter();
    counter.add({ route: '/users/:id', method: 'GET', status: 200, duration: 1_000, contentLength: 10 });
    counter.add({ route: '/users/:id', method: 'GET', status: 204, duration: 1_001, contentLength: 0 });
    counter.add({ route: '', method: 'BREW', status: 418, duration: 10_000_001, contentLength: 5 });
    const users = 'route="/users/:id",method="GET",status="2xx"';
    const other = 'route="",method="other",status="4xx"';
    const buckets = (labels: string, counts: number[]) =>
      [
        '0.001',
        '0.005',
        '0.01',
        '0.025',
        '0.05',
        '0.1',
        '0.25',
        '0.5',
        '1.0',
        '2.5',
        '5.0',
        '10.0',
        '+Inf',
      ].map(
        (le, i) =>
          `track_usage_http_request_duration_seconds_bucket{${labels},le="${le}"} ${counts[Math.min(i, counts.length - 1)]}`,
      );
    expect(lines(trafficText(counter, true))).toEqual([
      '# HELP track_usage_http_requests Completed requests.',
      '# TYPE track_usage_http_requests counter',
      `track_usage_http_requests_total{${users}} 2`,
      `track_usage_http_requests_total{${other}} 1`,
      '# HELP track_usage_http_response_bytes Body bytes of the responses.',
      '# TYPE track_usage_http_response_bytes counter',
      `track_usage_http_response_bytes_total{${users}} 10`,
      `track_usage_http_response_bytes_total{${other}} 5`,
      '# HELP track_usage_http_request_duration_seconds Time from the arrival of a request to the end of its response.',
      '# TYPE track_usage_http_request_duration_seconds histogram',
      ...buckets(users, [1, 2]),
      `track_usage_http_request_duration_seconds_sum{${users}} 0.002001`,
      `track_usage_http_request_duration_seconds_count{${users}} 2`,
      ...buckets(other, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
      `track_usage_http_request_duration_seconds_sum{${other}} 10.000001`,
      `track_usage_http_request_duration_seconds_count{${other}} 1`,
    ]);
  });

  test('formats bucket bounds the same in both formats', () => {
    expect([0.001, 0.25, 1, 2.5, 10].map(bound)).toEqual(['0.001', '0.25', '1.0', '2.5', '10.0']);
  });
});

describe('labels', () => {
  test('are escaped', () => {
    expect(label('route', 'a"b\\c\nd\re\0f\\n{}#,')).toBe('route="a\\"b\\\\c\\nd\re\ufffdf\\\\n{}#,"');
  });

  test('are on one line, and are parsed to the same value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (a, b) => {
        const text = new Exposition(false).begin('lamps', 'gauge', 'Lit.');
        text.sample(1, [label('a', a), label('b', b)].join());
        const clean = (value: string) => value.replaceAll('\0', '\ufffd');
        expect([...parseExposition(text.toString())]).toEqual([
          [JSON.stringify(['lamps', { a: clean(a), b: clean(b) }]), 1],
        ]);
      }),
    );
  });
});

describe('health metrics', () => {
  test('match status()', () => {
    const values = Object.fromEntries(parseExposition(healthText(status, false)));
    const of = (name: string, labels = {}) => values[JSON.stringify([`track_usage_${name}`, labels])];
    expect(of('captured_requests_total')).toBe(1);
    expect(of('journaled_records_total')).toBe(2);
    expect(of('journal_slow_appends_total')).toBe(3);
    expect(of('writer_restarts_total')).toBe(4);
    expect(of('journal_on_disk')).toBe(1);
    expect(of('dropped_records_total', { reason: 'journal' })).toBe(13);
    expect(of('dropped_records_total', { reason: 'capture' })).toBe(14);
    const names = ['committed_records', 'adopted_records', 'rejected_records', 'lost_records'].map(
      (name) => `${name}_total`,
    );
    const hooks = ['hooks_pending_records', 'hooks_dropped_records_total', 'hooks_failed_calls_total'];
    expect(
      ['up', ...names, ...hooks, 'lag_records', 'lag_seconds'].map((name) =>
        of(`storage_${name}`, { storage: 'sqlite:usage.db' }),
      ),
    ).toEqual([1, 5, 6, 7, 8, 9, 10, 11, 12, 1.5]);
  });

  test('show what is down', () => {
    const down: UsageStatus = {
      ...status,
      journal: { ...status.journal, state: 'memory' },
      storages: [{ ...storage, ok: false }],
    };
    const text = healthText(down, false);
    expect(text).toMatch(/^track_usage_journal_on_disk 0$/m);
    expect(text).toMatch(/^track_usage_storage_up\{storage="sqlite:usage.db"\} 0$/m);
  });

  test('distinguish storages with the same label', () => {
    const named = (...labels: string[]) => ({
      ...status,
      storages: labels.map((label) => ({ ...storage, storage: label })),
    });
    const text = healthText(named('a', 'a', 'a (2)', 'b', 'a'), false);
    expect([...text.matchAll(/storage_up\{storage="(.*)"\}/g)].map(([, name]) => name)).toEqual([
      'a',
      'a (2)',
      'a (2) (2)',
      'b',
      'a (3)',
    ]);
  });
});
