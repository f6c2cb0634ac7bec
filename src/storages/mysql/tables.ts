import { PERIODS } from '../../summaries/periods.ts';
import { periodNumber } from '../sql/key-budgets.ts';

/**
 * Table of each period. Views are named `…hourly`, `…daily`, `…monthly`, so that no view has a table's name.
 */
export const TABLES = { hour: 'hours', day: 'days', month: 'months' } as const;

/** Table of the schema version. Created first and filled last. Its comment marks the schema as ours. */
export const VERSION_TABLE = 'schema_version';
export const MARK = 'track-usage';

/** Names of all tables. */
export const TABLE_NAMES = [
  VERSION_TABLE,
  'sites',
  'journals',
  'strings',
  'agents',
  'endpoints',
  'requests',
  'series',
  'buckets',
  ...Object.values(TABLES),
  'sweeps',
  'leases',
  'retention',
  'visitor_keys',
  'key_counts',
] as const;

/** Default options of a table. Texts are sorted by their bytes unless a column says otherwise. */
const ENGINE = 'ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

/** Column that tables of older versions lack. New tables have it already, so that no other privilege is needed. */
export interface AddedColumn {
  table: string;
  column: string;
  definition: string;
}

/** Last sweep after whose beginning a writer looked up a row. */
const SEEN = 'seen INT NOT NULL DEFAULT 0';

/** Key in `sumUrls`, where it is not the URL. */
const URL_KEY = 'url_key BIGINT';

/** Columns of records that version 4 added. `received` is the number of body bytes of the request. */
const VERSION_4 = ['path', 'referrer_host', 'campaign', 'class', 'received'].map((column) => ({
  table: 'requests',
  column,
  definition: `${column} BIGINT`,
}));
/** Kind of device. */
const DEVICE = 'device VARCHAR(32)';

/**
 * Statements of each schema version. DDL statements commit implicitly, so each must be idempotent. `@name` is
 * replaced with a table's name.
 */
export const MIGRATIONS: readonly (readonly (string | AddedColumn)[])[] = [
  [
    // Values that may be long or end with spaces are found by the first half of their SHA-256.
    `CREATE TABLE IF NOT EXISTS @sites (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      hash BINARY(16) NOT NULL UNIQUE,
      name TEXT NOT NULL,
      time_zone VARCHAR(64) NOT NULL
    ) ${ENGINE}`,
    // Stored position of each journal, and the number of records before it.
    `CREATE TABLE IF NOT EXISTS @journals (
      id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
      number INT NOT NULL AUTO_INCREMENT UNIQUE,
      position BIGINT NOT NULL,
      ordinal BIGINT NOT NULL
    ) ${ENGINE}`,
    // Every text once. Other tables refer to its ID; 0 means NULL.
    `CREATE TABLE IF NOT EXISTS @strings (
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      hash BINARY(16) NOT NULL UNIQUE,
      text MEDIUMTEXT NOT NULL,
      ${SEEN}
    ) ${ENGINE}`,
    // Parsed user agents, as they were when a record was stored. A newer parser may read the same string
    // differently. The digest distinguishes the results: it is the first half of the SHA-256 of the parsed
    // result.
    `CREATE TABLE IF NOT EXISTS @agents (
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      string BIGINT NOT NULL,
      digest BINARY(16) NOT NULL,
      browser TEXT,
      version TEXT,
      platform TEXT,
      bot TINYINT NOT NULL,
      ${DEVICE},
      ${SEEN},
      UNIQUE (string, digest)
    ) ${ENGINE}`,
    // Fields that many records share.
    `CREATE TABLE IF NOT EXISTS @endpoints (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      server_name BIGINT NOT NULL,
      method BIGINT NOT NULL,
      protocol BIGINT NOT NULL,
      route BIGINT NOT NULL,
      blueprint BIGINT NOT NULL,
      credentials TINYINT NOT NULL,
      ${SEEN},
      UNIQUE (server_name, method, protocol, route, blueprint, credentials)
    ) ${ENGINE}`,
    // Dates are in UTC. Journal and ordinal are the record's origin, and its position there.
    `CREATE TABLE IF NOT EXISTS @requests (
      site INT NOT NULL,
      date DATETIME(3) NOT NULL,
      journal INT NOT NULL,
      ordinal INT NOT NULL,
      endpoint INT NOT NULL,
      status INT NOT NULL,
      url BIGINT NOT NULL,
      content_length BIGINT NOT NULL,
      duration BIGINT NOT NULL,
      remote_addr BIGINT,
      forwarded_for BIGINT,
      agent BIGINT,
      language BIGINT,
      referrer BIGINT,
      username BIGINT,
      visitor BIGINT,
      country BIGINT,
      ${URL_KEY},
      ${VERSION_4.map(({ definition }) => definition).join(', ')},
      extra MEDIUMTEXT,
      PRIMARY KEY (site, date, journal, ordinal)
    ) ${ENGINE}`,
    `CREATE TABLE IF NOT EXISTS @series (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      site INT NOT NULL,
      summary VARCHAR(64) NOT NULL,
      UNIQUE (site, summary)
    ) ${ENGINE}`,
    // Start of each bucket in the site's time zone, for manual queries.
    `CREATE TABLE IF NOT EXISTS @buckets (
      site INT NOT NULL,
      bucket DATETIME NOT NULL,
      date VARCHAR(40) NOT NULL,
      PRIMARY KEY (site, bucket)
    ) ${ENGINE}`,
    ...Object.values(TABLES).map(
      (table) => `CREATE TABLE IF NOT EXISTS @${table} (
      series INT NOT NULL,
      bucket DATETIME NOT NULL,
      \`key\` BIGINT NOT NULL,
      hits BIGINT NOT NULL,
      transfer BIGINT NOT NULL,
      errors BIGINT NOT NULL,
      duration BIGINT NOT NULL,
      PRIMARY KEY (series, bucket, \`key\`)
    ) ${ENGINE}`,
    ),
  ],
  [
    // Number of the last sweep, which deletes rows that are no longer used.
    `CREATE TABLE IF NOT EXISTS @sweeps (id TINYINT NOT NULL PRIMARY KEY, number INT NOT NULL) ${ENGINE}`,
    'INSERT INTO @sweeps (id, number) VALUES (1, 0) ON DUPLICATE KEY UPDATE id = id',
    ...['strings', 'agents', 'endpoints'].map((table) => ({ table, column: 'seen', definition: SEEN })),
    // Tasks that one process at a time performs.
    `CREATE TABLE IF NOT EXISTS @leases (
      site INT NOT NULL,
      task VARCHAR(64) NOT NULL,
      holder VARCHAR(64) NOT NULL,
      ends DATETIME(3) NOT NULL,
      PRIMARY KEY (site, task)
    ) ${ENGINE}`,
    // Retention in force. Data before the horizon, in ms since 1970, is deleted.
    `CREATE TABLE IF NOT EXISTS @retention (
      site INT NOT NULL,
      part VARCHAR(16) NOT NULL,
      keep VARCHAR(16) NOT NULL,
      horizon BIGINT,
      PRIMARY KEY (site, part)
    ) ${ENGINE}`,
    // Keys of the visitor IDs of a site's days, by local date, in hexadecimal digits. Only today's and yesterday's exist.
    `CREATE TABLE IF NOT EXISTS @visitor_keys (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      site INT NOT NULL,
      day VARCHAR(16) NOT NULL,
      secret VARCHAR(64) NOT NULL,
      UNIQUE (site, day)
    ) ${ENGINE}`,
    // Number of keys in each bucket, except NULL and the key of others. Inexact numbers may be too high. Periods: 0
    // hour, 1 day, 2 month.
    `CREATE TABLE IF NOT EXISTS @key_counts (
      series INT NOT NULL,
      period TINYINT NOT NULL,
      bucket DATETIME NOT NULL,
      total INT NOT NULL,
      is_exact TINYINT NOT NULL,
      PRIMARY KEY (series, period, bucket)
    ) ${ENGINE}`,
    ...PERIODS.map(
      (period) => `INSERT INTO @key_counts (series, period, bucket, total, is_exact)
      SELECT series, ${periodNumber(period)}, bucket, COUNT(*), 1 FROM @${TABLES[period]} WHERE \`key\` <> 0
      GROUP BY series, bucket ON DUPLICATE KEY UPDATE is_exact = 1`,
    ),
  ],
  [{ table: 'requests', column: 'url_key', definition: URL_KEY }],
  [...VERSION_4, { table: 'agents', column: 'device', definition: DEVICE }],
];

/** Newest schema version that this release supports. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Creates the table of the schema version.
 * @param table The quoted name.
 */
export function versionTable(table: string): string {
  return `CREATE TABLE IF NOT EXISTS ${table} (
    id TINYINT NOT NULL PRIMARY KEY, version INT NOT NULL
  ) ${ENGINE} COMMENT = '${MARK}'`;
}
