/** Password of the user `default`. Tests check that it does not appear in messages. */
export const CLICKHOUSE_PASSWORD = 'p@ss w/rd:tests';
