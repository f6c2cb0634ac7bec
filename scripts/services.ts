/**
 * `npm run services` installs the programs that tests need and npm does not provide. It uses the system's
 * package manager (Debian and Ubuntu), or builds them. No service is started, now or at boot: each test
 * starts and ends its own server.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingServices, SERVICES } from '../test/support/services.ts';
import { buildFerretdb, findGo } from './ferretdb.ts';
import { hasMaven, installMongoJavaServer } from './mongo-java-server.ts';

const missing = missingServices();
if (missing.length === 0) {
  console.log(`all installed: ${SERVICES.map(({ name }) => name).join(', ')}`);
  process.exit();
}
/** Services that are built here, and whether the build tools are installed. */
const BUILDERS: Readonly<Record<string, { isReady(): boolean; build(): void }>> = {
  ferretdb: { isReady: () => findGo() !== undefined, build: buildFerretdb },
  'mongo-java-server': { isReady: hasMaven, build: installMongoJavaServer },
};
const packages = missing.flatMap(({ name, packages }) => (BUILDERS[name]?.isReady() ? [] : packages));
console.log(`missing: ${missing.map(({ name }) => name).join(', ')}`);
const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
const run = (...command: string[]) => {
  const [program = '', ...args] = [...sudo, ...command];
  execFileSync(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
};

/** Script that Debian calls before a package starts a service. */
const POLICY = '/usr/sbin/policy-rc.d';
const isService = (daemon: string) => existsSync(join('/etc/init.d', daemon));

/** Installs packages without starting their services. Services that were running before are not affected. */
function install(packages: readonly string[], daemons: readonly string[]): void {
  const added = daemons.filter((daemon) => !isService(daemon));
  const directory = mkdtempSync(join(tmpdir(), 'services-'));
  const isPolicyOurs = !existsSync(POLICY);
  try {
    if (isPolicyOurs) {
      const none = join(directory, 'policy');
      writeFileSync(none, '#!/bin/sh\nexit 101\n');
      run('install', '-m', '755', none, POLICY);
    }
    run('apt-get', 'install', '-q', '-y', '--no-install-recommends', ...packages);
  } finally {
    if (isPolicyOurs) run('rm', '-f', POLICY);
    rmSync(directory, { recursive: true, force: true });
    for (const daemon of added.filter(isService)) run('update-rc.d', daemon, 'disable');
  }
}

try {
  if (packages.length > 0) {
    run('apt-get', 'update', '-q');
    install(
      packages,
      missing.flatMap(({ daemons = [] }) => daemons),
    );
  }
} catch {
  console.error(`installation failed; run as root on Debian: apt-get install ${packages.join(' ')}`);
  process.exit(1);
}
for (const { name } of missing) {
  try {
    BUILDERS[name]?.build();
  } catch (error) {
    console.error(`could not build ${name}: ${(error as Error).message}`);
  }
}
const still = missingServices();
if (still.length > 0) {
  console.error(`still missing: ${still.map(({ name }) => name).join(', ')}`);
  process.exit(1);
}
