/** YAML that Docker and GitHub read, as far as it can be checked without them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT, read } from './documentation.ts';

interface Service {
  image?: string;
  build?: string;
  ports?: string[];
  volumes?: string[];
  command?: string[];
}

const page = 'docs/guides/docker.md';
const fence = (language: string) =>
  new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(read(page))![1]!;

describe.each([
  ['compose.yaml', read('compose.yaml')],
  ['test/compose.yaml', read('test/compose.yaml')],
  [page, fence('yaml')],
])('the services of %s', (_, text) => {
  const { services, volumes = {} } = parse(text) as {
    services: Record<string, Service>;
    volumes?: Record<string, unknown>;
  };

  test.each(Object.entries(services))('%s has an image, and volumes that are declared', (_name, service) => {
    expect(service.image ?? service.build).toMatch(/^\S+$/);
    const named = (service.volumes ?? []).map((volume) => volume.split(':')[0]!);
    for (const name of named.filter((volume) => !volume.startsWith('.')))
      expect(volumes).toHaveProperty(name);
    for (const port of service.ports ?? []) expect(port).toMatch(/^([\d.]+:)?\d+:\d+$/);
  });
});

test('the demo starts a program that exists', () => {
  const { services } = parse(read('compose.yaml')) as { services: Record<string, Service> };
  const [, program = ''] = /exec node \/app\/(\S+)/.exec(services.shop!.command!.join('\n'))!;
  expect(existsSync(join(ROOT, program))).toBe(true);
});

test('the Dockerfile has only instructions that exist, and starts Node directly', () => {
  const lines = fence('dockerfile').trim().split('\n');
  const known = ['FROM', 'ENV', 'WORKDIR', 'COPY', 'RUN', 'USER', 'VOLUME', 'EXPOSE', 'CMD'];
  expect(lines.map((line) => line.split(' ')[0]).filter((word) => !known.includes(word!))).toEqual([]);
  expect(lines[0]).toMatch(/^FROM node:\d+/);
  expect(JSON.parse(lines.at(-1)!.replace('CMD ', ''))[0]).toBe('node');
});

test('the workflow runs scripts that exist', () => {
  const text = read('.github/workflows/ci.yml');
  const { jobs } = parse(text) as { jobs: Record<string, { steps: { run?: string; uses?: string }[] }> };
  const { scripts } = parse(read('package.json')) as { scripts: Record<string, string> };
  const steps = Object.values(jobs).flatMap((job) => job.steps);
  const named = steps.flatMap(({ run = '' }) =>
    [...run.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!),
  );
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  for (const { uses } of steps) if (uses) expect(uses).toMatch(/^\.|@v\d+$/);
});
