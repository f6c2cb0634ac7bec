import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { ENGINES, SYSTEM } from './test/projects.ts';

// Threads and processes that tests start compile the same sources again and again.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/compiled');

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [...ENGINES, ...SYSTEM] },
      },
      { extends: true, test: { name: 'engines', include: [...ENGINES] } },
      { extends: true, test: { name: 'system', include: [...SYSTEM] } },
    ],
    // Some tests start processes, kill them and wait for real clocks.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', 'json', './test/support/left-out.ts'],
    outputFile: { json: '.test-report.json' },
    allowOnly: false,
    // Seen now and then where threads that use WebAssembly come and go, as each does that runs TypeScript: V8 ends the
    // process (`Check failed: jit_page.has_value()`). The check belongs to these keys; it could not be provoked at will.
    execArgv: ['--no-memory-protection-keys'],
    // Two cores: crash tests need one for the load.
    maxWorkers: 2,
  },
});
