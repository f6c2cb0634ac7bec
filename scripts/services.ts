/**
 * `npm run services`: installs the programs that the tests need beyond what npm brings, with the system's package
 * manager (Debian and Ubuntu), or builds them. Nothing is started: each test starts its own server and ends it.
 */
import { execFileSync } from 'node:child_process';
import { missingServices, SERVICES } from '../test/support/services.ts';
import { buildFerretdb, findGo } from './ferretdb.ts';

const missing = missingServices();
if (missing.length === 0) {
  console.log(`all there: ${SERVICES.map(({ name }) => name).join(', ')}`);
  process.exit();
}
const packages = missing.flatMap(({ built, packages }) => (built && findGo() ? [] : packages));
console.log(`missing: ${missing.map(({ name }) => name).join(', ')}`);
const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
const run = (...command: string[]) => {
  const [program = '', ...args] = [...sudo, ...command];
  execFileSync(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
};
try {
  if (packages.length > 0) {
    run('apt-get', 'update', '-q');
    run('apt-get', 'install', '-q', '-y', '--no-install-recommends', ...packages);
  }
} catch {
  console.error(`could not install them; on Debian, as root: apt-get install ${packages.join(' ')}`);
  process.exit(1);
}
try {
  if (missing.some(({ name }) => name === 'ferretdb')) buildFerretdb();
} catch (error) {
  console.error(`could not build FerretDB: ${(error as Error).message}`);
}
const still = missingServices();
if (still.length > 0) {
  console.error(`still missing: ${still.map(({ name }) => name).join(', ')}`);
  process.exit(1);
}
