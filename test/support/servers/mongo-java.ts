import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { programOf } from '../services.ts';
import { kill } from './kill.ts';

const PROGRAM = join(import.meta.dirname, 'MongoJavaServer.java');

/** Starts mongo-java-server on a free port of 127.0.0.1. Its data is in memory, so no cleanup is needed. */
export async function mongoJavaServer(): Promise<{ url(database: string): string; close(): Promise<void> }> {
  const library = programOf('mongo-java-server');
  if (!library) throw new Error('mongo-java-server is not installed: npm run services');
  // It exits when its standard input ends, so it never outlives this process.
  const child = spawn('java', ['-Xmx512m', '-cp', join(dirname(library), '*'), PROGRAM], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said = (said + data).slice(-2_000);
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`mongo-java-server ended: ${said}`)));
    createInterface(child.stdout).on('line', (line) => {
      const [, found] = /^listening (\d+)$/.exec(line) ?? [];
      if (found) resolve(found);
    });
  });
  return {
    url: (database) => `mongodb://127.0.0.1:${port}/${database}`,
    close: () => kill(child),
  };
}
