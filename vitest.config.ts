import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/announce.ts'],
    // Some tests start processes, kill them and wait for real clocks.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', ['json', { outputFile: '.test-report.json' }]],
    allowOnly: false,
    // With them V8 ends the process now and then (`Check failed: jit_page.has_value()`) where threads that use WebAssembly
    // come and go, and each thread that runs TypeScript does.
    execArgv: ['--no-memory-protection-keys'],
    // Two cores: crash tests need one for the load.
    maxWorkers: 2,
  },
});
