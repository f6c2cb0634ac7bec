import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A program that some tests need and npm does not install. */
export interface Service {
  name: string;
  /** Name of its program, or a pattern if it is not in the PATH. */
  program: string;
  /** Debian packages that contain it, or requirements of `scripts/<name>.ts` to build it. */
  packages: readonly string[];
  /** System services that its packages would start, which is prevented. */
  daemons?: readonly string[];
}

/** Version of mongo-java-server. */
export const MONGO_JAVA_SERVER = '1.47.0';
/** Directory of programs that are built here. */
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
  // These packages start no server.
  { name: 'mariadb', program: 'mariadbd', packages: ['mariadb-server-core', 'mariadb-client-core'] },
  // The oldest supported version, in addition to the newest, which npm installs.
  {
    name: 'postgresql-15',
    program: '/usr/lib/postgresql/15/bin/postgres',
    packages: ['postgresql-15'],
    daemons: ['postgresql'],
  },
  { name: 'nginx', program: 'nginx', packages: ['nginx-light'], daemons: ['nginx'] },
  { name: 'chromium', program: 'chromium', packages: ['chromium'] },
  // Includes promtool.
  { name: 'prometheus', program: 'prometheus', packages: ['prometheus'], daemons: ['prometheus'] },
] as const satisfies readonly Service[];

export type ServiceName = (typeof SERVICES)[number]['name'];

/** Returns the path of a program, or `undefined` if it is not installed. */
export function programOf(name: ServiceName): string | undefined {
  const { program } = SERVICES.find((service) => service.name === name)!;
  if (program.includes('/')) return globSync(program).sort().at(-1);
  // System programs are not in every user's PATH.
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return places.map((place) => join(place, program)).find((file) => existsSync(file));
}

/** Returns whether its tests run: if it is installed, and always in CI, where they fail without it. */
export function isWanted(name: ServiceName): boolean {
  return programOf(name) !== undefined || process.env.CI !== undefined;
}

export function missingServices(): Service[] {
  return SERVICES.filter(({ name }) => programOf(name) === undefined);
}
