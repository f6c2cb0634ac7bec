import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directories = new Set<string>();
process.on('exit', () => {
  for (const directory of directories) removeDirectory(directory);
});

/** Creates a temporary directory, which is removed when this process ends, or earlier. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-bench-'));
  directories.add(directory);
  return directory;
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}
