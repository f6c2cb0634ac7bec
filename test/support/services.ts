import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A program that some tests need and npm does not bring. */
export interface Service {
  name: string;
  /** Its program, by name or, where it stands outside the path, by a pattern. */
  program: string;
  /** The packages of Debian that bring it, or what `scripts/<name>.ts` needs to make it. */
  packages: readonly string[];
  /** What they would have the system start as a service of its own, which is prevented. */
  daemons?: readonly string[];
}

/** Its version. */
export const MONGO_JAVA_SERVER = '1.47.0';
/** Where programs are put that are made here. */
export const BUILT = join(import.meta.dirname, '../../.services');

export const SERVICES = [
  { name: 'goaccess', program: 'goaccess', packages: ['goaccess'] },
  { name: 'ferretdb', program: join(BUILT, 'ferretdb'), packages: ['golang-go'] },
  {
    name: 'mongo-java-server',
    program: join(BUILT, `mongo-java-server/mongo-java-server-${MONGO_JAVA_SERVER}.jar`),
    packages: ['default-jdk-headless', 'maven'],
  },
  { name: 'redis', program: 'redis-server', packages: ['redis-server'], daemons: ['redis-server'] },
  // The packages that start no server of their own.
  { name: 'mariadb', program: 'mariadbd', packages: ['mariadb-server-core', 'mariadb-client-core'] },
  // The oldest that is supported, beside the newest, which npm brings.
  {
    name: 'postgresql-15',
    program: '/usr/lib/postgresql/15/bin/postgres',
    packages: ['postgresql-15'],
    daemons: ['postgresql'],
  },
  { name: 'chromium', program: 'chromium', packages: ['chromium'] },
  // With promtool beside it.
  { name: 'prometheus', program: 'prometheus', packages: ['prometheus'], daemons: ['prometheus'] },
] as const satisfies readonly Service[];

export type ServiceName = (typeof SERVICES)[number]['name'];

/** Where a program is; `undefined` where it is not installed. */
export function programOf(name: ServiceName): string | undefined {
  const { program } = SERVICES.find((service) => service.name === name)!;
  if (program.includes('/')) return globSync(program).sort().at(-1);
  // The system's own programs are not on every user's path.
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return places.map((place) => join(place, program)).find((file) => existsSync(file));
}

/** Whether its tests run: where it is installed, and in CI, where they fail without it rather than say so. */
export function isWanted(name: ServiceName): boolean {
  return programOf(name) !== undefined || process.env.CI !== undefined;
}

export function missingServices(): Service[] {
  return SERVICES.filter(({ name }) => programOf(name) === undefined);
}
