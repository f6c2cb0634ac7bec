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
    // Two cores: crash tests need one for the load.
    maxWorkers: 2,
  },
});
