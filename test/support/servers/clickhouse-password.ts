/** Of the user `default`, so that tests see whether it appears where it should not. */
export const CLICKHOUSE_PASSWORD = 'p@ss w/rd:tests';
