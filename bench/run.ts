/** `npm run bench [-- name… --quick …]`: measures, prints tables, writes the figures to `results/`. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { commandLine } from './support/command-line.ts';
import { copyLibrary } from './support/library.ts';
import type { BenchOptions, Report } from './support/options.ts';
import { writePages } from './support/pages.ts';

const RESULTS = join(import.meta.dirname, 'results');

const { names, options, write } = commandLine(process.argv.slice(2));
const { quick } = options;

const copy = copyLibrary();
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const [cpu] = cpus();
const machine = {
  cpu: cpu?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
};
const environment = `${machine.cores} × ${machine.cpu}, ${machine.memory}, ${machine.platform}, Node ${machine.node}`;
console.log(`${environment}${quick ? ', quick' : ''}\n`);

mkdirSync(RESULTS, { recursive: true });
for (const name of names) {
  const { run } = (await import(`./${name}.ts`)) as { run(options: BenchOptions): Promise<Report> };
  const report = await run(options);
  const { title, method, tables, short, verdict, data } = report;
  console.log(`## ${title}\n\n${method}\n`);
  for (const { title: heading, text } of tables) console.log(`### ${heading}\n\n${text}\n`);
  for (const text of [short, verdict]) if (text) console.log(`${text}\n`);
  const date = new Date().toISOString();
  const results = { name, date, quick, machine, tables, short, verdict, data };
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(results, null, 1)}\n`);
  if (write) {
    const command = `npm run bench -- ${process.argv
      .slice(2)
      .filter((word) => word !== '--write')
      .join(' ')}`;
    writePages(name, `\`${command.trim()}\`, ${date.slice(0, 10)}, ${environment}.`, report);
  }
}
