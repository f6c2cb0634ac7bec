/**
 * Downloads mongo-java-server with Maven. It is a server for MongoDB's protocol that keeps its data in
 * memory, used as a second engine for the MongoDB tests. It shares no code with FerretDB, so behavior of both
 * is not specific to one of them.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILT, MONGO_JAVA_SERVER } from '../test/support/services.ts';
import { findProgram } from './find-program.ts';

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>track-usage</groupId>
  <artifactId>mongo-java-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>de.bwaldvogel</groupId>
      <artifactId>mongo-java-server</artifactId>
      <version>${MONGO_JAVA_SERVER}</version>
    </dependency>
  </dependencies>
</project>
`;

/** Returns whether the programs to download and run it are installed. */
export function hasMaven(): boolean {
  return findProgram('mvn') !== undefined && findProgram('javac') !== undefined;
}

/** Installs into `.services/mongo-java-server`, atomically. */
export function installMongoJavaServer(): void {
  const temporary = mkdtempSync(join(tmpdir(), 'mongo-java-server-'));
  try {
    console.log(`downloading mongo-java-server ${MONGO_JAVA_SERVER}`);
    writeFileSync(join(temporary, 'pom.xml'), POM);
    const goal = ['dependency:copy-dependencies', '-DoutputDirectory=lib', '-DincludeScope=runtime'];
    execFileSync(findProgram('mvn')!, ['-q', '-B', ...goal], {
      cwd: temporary,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const target = join(BUILT, 'mongo-java-server');
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    cpSync(join(temporary, 'lib'), target, { recursive: true });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
