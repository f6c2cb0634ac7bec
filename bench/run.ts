/** `npm run bench [-- name… --quick --rounds n --storage name]`: measures, prints tables, keeps the figures in `results/`. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { copyLibrary } from './support/library.ts';
import type { BenchOptions, Report } from './support/options.ts';

const ALL = ['http', 'writer', 'storages', 'memory'];
const KNOWN = [...ALL, 'profile'];
const RESULTS = join(import.meta.dirname, 'results');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    storage: { type: 'string' },
  },
});
const unknown = positionals.filter((name) => !KNOWN.includes(name));
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (unknown.length > 0 || (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))) {
  console.error(`Usage: npm run bench -- [${KNOWN.join(' | ')}]… [--quick] [--rounds n] [--storage name]`);
  process.exit(2);
}

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
console.log(
  `${machine.cores} × ${machine.cpu}, ${machine.memory}, ${machine.platform}, Node ${machine.node}${values.quick ? ', quick' : ''}\n`,
);

mkdirSync(RESULTS, { recursive: true });
for (const name of positionals.length > 0 ? positionals : ALL) {
  const { run } = (await import(`./${name}.ts`)) as { run(options: BenchOptions): Promise<Report> };
  const { title, method, tables, data } = await run({ quick: values.quick, rounds, storage: values.storage });
  console.log(`## ${title}\n\n${method}\n`);
  for (const { title: heading, text } of tables) console.log(`### ${heading}\n\n${text}\n`);
  const results = { name, date: new Date().toISOString(), quick: values.quick, machine, tables, data };
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(results, null, 1)}\n`);
}
