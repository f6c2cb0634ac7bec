import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { format } from 'node:util';
import { afterAll, beforeAll } from 'vitest';

/**
 * Keeps errors that the tests of this file provoke out of the output: lines that match one of the patterns. All others
 * are printed, because nobody expects them.
 */
export function expectErrors(...patterns: RegExp[]): void {
  const isExpected = (text: string) => patterns.some((pattern) => pattern.test(text));
  const { writeSync } = fs;
  const { error } = console;
  beforeAll(() => {
    console.error = (...given: unknown[]) => {
      if (!isExpected(format(...given))) error(...given);
    };
    // Problems without `onError` are written to the descriptor.
    fs.writeSync = ((descriptor: number, ...given: [string]) => {
      if (descriptor === 2 && isExpected(String(given[0]))) return 0;
      return writeSync(descriptor, ...given);
    }) as typeof writeSync;
    syncBuiltinESMExports();
  });
  afterAll(() => {
    console.error = error;
    fs.writeSync = writeSync;
    syncBuiltinESMExports();
  });
}
