import http from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closeServer, listen } from './engines.ts';
import { checkMetrics, startPrometheus } from './prometheus.ts';
import { isWanted } from './services.ts';

const exposition = (n: number) => `# HELP lamps_total Lamps that were lit.
# TYPE lamps_total counter
lamps_total{colour="red"} ${n}
`;

describe.runIf(isWanted('prometheus'))('Prometheus', () => {
  test('promtool finds what is wrong with an exposition, and nothing in a right one', () => {
    expect(checkMetrics(exposition(3))).toBe('');
    expect(checkMetrics('# TYPE lamps counter\nlamps 3\n')).toMatch(
      /lamps counter metrics should have "_total"/,
    );
    expect(checkMetrics('lamps{ 3\n')).toMatch(/error while linting/);
  });

  test('scrapes a server, again and again', async () => {
    let lit = 1;
    let path: string | undefined;
    let status = 200;
    const lamps = http.createServer((request, response) => {
      path = request.url;
      response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4' }).end(exposition(lit));
    });
    const { address } = await listen(lamps);
    onTestFinished(() => closeServer(lamps));
    const target = `127.0.0.1:${address.port}`;
    const prometheus = await startPrometheus({ target, metricsPath: '/lamps' });
    onTestFinished(() => prometheus.stop());
    await prometheus.scraped();
    const labels = { __name__: 'lamps_total', colour: 'red', instance: target, job: 'tests' };
    expect(await prometheus.query('lamps_total')).toEqual([{ labels, value: 1 }]);
    expect(path).toBe('/lamps');
    lit = 7;
    await prometheus.scraped();
    expect(await prometheus.query('lamps_total')).toEqual([{ labels, value: 7 }]);
    await expect(prometheus.query('lamps_total{')).rejects.toThrow(/parse error/);
    status = 500;
    await expect(prometheus.scraped()).rejects.toThrow(/not scraped: .*500/);
  });
});
