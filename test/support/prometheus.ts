import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { giveTo, ServerProcess, serverUser } from './servers/process.ts';
import { programOf } from './services.ts';

/** One time series of a query's result, at one moment. */
export interface Sample {
  /** Labels, including the name as `__name__`. */
  labels: Record<string, string>;
  value: number;
}

export interface PrometheusOptions {
  /** Host and port of the scrape target, for example `127.0.0.1:3000`. */
  target: string;
  /** Path of the metrics. Defaults to `/metrics`. */
  metricsPath?: string;
  /** Additional settings of the scrape configuration, for example `basic_auth`. */
  scrape?: object;
  /** Directory of its data, which is kept after closing. Defaults to a temporary directory. */
  dataDir?: string;
}

export interface PrometheusServer {
  url: string;
  query(promql: string): Promise<Sample[]>;
  /** Waits for the next complete scrape of the target. Rejects if it could not be scraped. */
  scraped(): Promise<void>;
  stop(): Promise<void>;
}

/** Returns the problems that promtool finds in an exposition; empty if there are none. */
export function checkMetrics(text: string): string {
  const { status, stdout, stderr, error } = spawnSync(promtool(), ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  if (error) throw error;
  const said = `${stdout}${stderr}`.trim();
  return status === 0 ? said : said || `promtool ended with ${status}`;
}

/** Starts Prometheus on 127.0.0.1, with a scrape interval of 1 s. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  const { target, metricsPath = '/metrics', scrape } = options;
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-prometheus-'));
  const dataDir = options.dataDir ?? directory;
  const config = join(directory, 'prometheus.yml');
  // JSON is valid YAML.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [
        { job_name: 'tests', metrics_path: metricsPath, static_configs: [{ targets: [target] }], ...scrape },
      ],
    }),
  );
  giveTo(serverUser(), directory, config, dataDir);
  const server = await ServerProcess.start((port) => ({
    program: program(),
    args: [
      `--config.file=${config}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${join(dataDir, 'data')}`,
    ],
    ready: /Server is ready to receive web requests/,
  }));
  const url = `http://127.0.0.1:${server.port}`;
  while (!(await fetch(`${url}/-/ready`)).ok) await moment();
  const query = async (promql: string) => {
    const { result } = await ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      `${url}/api/v1/query?query=${encodeURIComponent(promql)}`,
    );
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  };
  return {
    url,
    query,
    async scraped() {
      // Prometheus aligns timestamps to the interval by up to two milliseconds.
      const since = (Date.now() + 2) / 1000;
      const last = async () => (await query('timestamp(up)'))[0]?.value ?? 0;
      while ((await last()) <= since) await moment();
      if ((await query('up'))[0]?.value === 1) return;
      const { activeTargets } = await ask<{ activeTargets: { lastError: string }[] }>(
        `${url}/api/v1/targets`,
      );
      throw new Error(`not scraped: ${activeTargets[0]?.lastError}`);
    },
    async stop() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function program(): string {
  const found = programOf('prometheus');
  if (!found) throw new Error('prometheus is not installed: npm run services');
  return found;
}

/** Returns the path of promtool. Debian installs both programs together. */
export function promtool(): string {
  return program().replace(/prometheus$/, 'promtool');
}

async function ask<T>(url: string): Promise<T> {
  const answer = (await (await fetch(url)).json()) as { status: string; error?: string; data: T };
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data;
}

function moment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
