/** Tests the metrics page: its table, and its files with Prometheus. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BOUNDS, MAX_ROUTES, MAX_SERIES } from '../../src/metrics/request-counter.ts';
import { promtool } from '../support/prometheus.ts';
import { Recorder } from '../support/recorder.ts';
import { isWanted } from '../support/services.ts';
import { files, read, section } from './documentation.ts';

const PAGE = 'docs/reference/metrics.md';

describe('the metrics page', () => {
  test('lists every metric with its type', async () => {
    const recorder = await Recorder.create();
    onTestFinished(() => recorder.close());
    const text = recorder.usage.metrics();
    const real = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    const rows = section(PAGE, 'metrics').matchAll(/^\| `(\w+)` \| (\w+) \|/gm);
    expect([...rows].map(([, name, type]) => `${name} ${type}`).sort()).toEqual(real.sort());
  });

  test('states the limits', () => {
    const page = read(PAGE);
    expect(page).toContain(`| routes | ${MAX_ROUTES};`);
    expect(page).toContain(`| ${MAX_SERIES.toLocaleString('en-US')}, about`);
    const [, milliseconds = '', seconds = ''] = /response; ([\d, ]+) ms, ([\d., ]+) s \|/.exec(page) ?? [];
    const bounds = [
      ...milliseconds.split(', ').map((text) => Number(text) * 1e3),
      ...seconds.split(', ').map((text) => Number(text) * 1e6),
    ];
    expect(bounds).toEqual(BOUNDS);
  });

  test.runIf(isWanted('prometheus')).each([
    ['prometheus.yml', 'config'],
    ['alerts.yml', 'rules'],
  ])('%s is valid', (name, kind) => {
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-docs-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, name);
    writeFileSync(file, files(PAGE).find((found) => found.name === name)!.text);
    const { stdout, stderr } = spawnSync(promtool(), ['check', kind, file], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).toMatch(/SUCCESS/);
    expect(`${stdout}${stderr}`).not.toMatch(/FAILED|warning|error/i);
  });
});
