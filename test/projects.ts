/** Test files of the Vitest project `engines`: they start database servers. */
export const ENGINES = [
  'test/storages/{clickhouse,mongo,mysql,postgres,redis,tls}*.test.ts',
  'test/docs/{clickhouse,mongo,mysql,servers}.test.ts',
  'test/copy/flask.test.ts',
  'test/cli/missing-database.test.ts',
] as const;

/**
 * Test files of the Vitest project `system`: they start a browser or another program, or run apps as processes for
 * minutes. All other files are the project `unit`.
 */
export const SYSTEM = [
  'test/{crash,e2e,examples,processes,resilience,environments}/**/*.test.ts',
  'test/docs/{metrics,reverse-proxies}.test.ts',
  'test/metrics/prometheus.test.ts',
  'test/report/browser.test.ts',
  'test/support/*.test.ts',
  'test/sinks/goaccess.test.ts',
] as const;
