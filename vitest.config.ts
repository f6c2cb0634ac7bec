import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { ENGINES, SYSTEM } from './test/projects.ts';

// Shares compiled sources among the threads and processes that tests start.
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
    // Avoids an occasional crash of V8 (`Check failed: jit_page.has_value()`) when threads that use WebAssembly start
    // and end, as all threads that run TypeScript do. The check belongs to these keys; it is not reproducible.
    execArgv: ['--no-memory-protection-keys'],
    // Two cores: crash tests need one for the load.
    maxWorkers: 2,
  },
});
