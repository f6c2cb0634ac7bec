import { describe, expect, onTestFinished, test } from 'vitest';
import { healthText } from '../../src/metrics/health.ts';
import { RequestCounter } from '../../src/metrics/request-counter.ts';
import { trafficText } from '../../src/metrics/traffic.ts';
import { checkMetrics, startPrometheus } from '../support/prometheus.ts';
import { isWanted } from '../support/services.ts';
import { EXPECTED_VISITS, shop, visitPages } from './shop.ts';
import { status, storage } from './status.ts';

describe.runIf(isWanted('prometheus'))('promtool', () => {
  test('accepts any names of routes and storages', () => {
    const counter = new RequestCounter();
    const hostile = [
      '"',
      '\\',
      '\n',
      '\r',
      '\0',
      '"} 1\nx 2',
      '# EOF',
      '\u2028',
      '🜁',
      '\x1b[31m',
      ' ',
      '\\n',
    ];
    for (const route of hostile) {
      counter.add({ route, method: 'GET', status: 200, duration: 1, contentLength: 1 });
    }
    const storages = hostile.map((name) => ({ ...storage, storage: name }));
    const text = healthText({ ...status, storages }, false) + trafficText(counter, false);
    expect(checkMetrics(text)).toBe('');
    const empty = healthText({ ...status, storages: [] }, false) + trafficText(new RequestCounter(), false);
    expect(checkMetrics(empty)).toBe('');
  });
});

describe.runIf(isWanted('prometheus'))('Prometheus', () => {
  test.each([
    ['the Prometheus format', '/metrics', undefined],
    ['OpenMetrics', '/metrics', { params: { open: ['1'] } }],
  ])('reads %s', async (_, metricsPath, scrape) => {
    const { request: ask, port } = await shop();
    await visitPages(ask);
    const prometheus = await startPrometheus({
      target: `127.0.0.1:${port}`,
      metricsPath,
      ...(scrape && { scrape }),
    });
    onTestFinished(() => prometheus.stop());
    await prometheus.scraped();
    for (const [route, method, status, count, bytes] of EXPECTED_VISITS) {
      const labels = `{route=${JSON.stringify(route)},method="${method}",status="${status}"}`;
      const value = async (query: string) => (await prometheus.query(query)).map((sample) => sample.value);
      expect(await value(`track_usage_http_requests_total${labels}`)).toEqual([count]);
      expect(await value(`track_usage_http_response_bytes_total${labels}`)).toEqual([bytes]);
      const [median] = await value(
        `histogram_quantile(0.5, track_usage_http_request_duration_seconds_bucket${labels})`,
      );
      expect(median).toBeGreaterThan(0);
      expect(median).toBeLessThan(1);
    }
    await visitPages(ask);
    await prometheus.scraped();
    const [all] = await prometheus.query('sum(track_usage_http_requests_total)');
    expect(all?.value).toBe(30);
  });
});
