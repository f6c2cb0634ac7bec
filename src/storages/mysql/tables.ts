/** The table of each period. Views are named `…hourly`, `…daily`, `…monthly`: no table meets one. */
export const TABLES = { hour: 'hours', day: 'days', month: 'months' } as const;

/** Where the version stands; made first, filled last. Its comment marks it as ours. */
export const VERSION_TABLE = 'schema_version';
export const MARK = 'track-usage';

/** The names of a place's tables. */
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
] as const;

/** Texts are in the order of their bytes wherever no more is said. */
const ENGINE = 'ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

/**
 * The statements of each version of the schema. A statement of this kind commits by itself: each must do no harm when it
 * comes again. `@name` stands for a table.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    // What may be long, or end with blanks, is found by the first half of its SHA-256.
    `CREATE TABLE IF NOT EXISTS @sites (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      hash BINARY(16) NOT NULL UNIQUE,
      name TEXT NOT NULL,
      time_zone VARCHAR(64) NOT NULL
    ) ${ENGINE}`,
    // How far each journal is stored: its position, and the number of records before it.
    `CREATE TABLE IF NOT EXISTS @journals (
      id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
      number INT NOT NULL AUTO_INCREMENT UNIQUE,
      position BIGINT NOT NULL,
      ordinal BIGINT NOT NULL
    ) ${ENGINE}`,
    // Every text once. Elsewhere stands its id; 0 stands for null.
    `CREATE TABLE IF NOT EXISTS @strings (
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      hash BINARY(16) NOT NULL UNIQUE,
      text MEDIUMTEXT NOT NULL
    ) ${ENGINE}`,
    // What a user agent said when a record was stored. A newer parser may read the same string differently: the digest,
    // the first half of the SHA-256 of what it said, tells them apart.
    `CREATE TABLE IF NOT EXISTS @agents (
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      string BIGINT NOT NULL,
      digest BINARY(16) NOT NULL,
      browser TEXT,
      version TEXT,
      platform TEXT,
      bot TINYINT NOT NULL,
      UNIQUE (string, digest)
    ) ${ENGINE}`,
    // What many records have in common.
    `CREATE TABLE IF NOT EXISTS @endpoints (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      server_name BIGINT NOT NULL,
      method BIGINT NOT NULL,
      protocol BIGINT NOT NULL,
      route BIGINT NOT NULL,
      blueprint BIGINT NOT NULL,
      credentials TINYINT NOT NULL,
      UNIQUE (server_name, method, protocol, route, blueprint, credentials)
    ) ${ENGINE}`,
    // Dates are in UTC. Journal and ordinal: where it came from, and its place there.
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
      extra MEDIUMTEXT,
      PRIMARY KEY (site, date, journal, ordinal)
    ) ${ENGINE}`,
    `CREATE TABLE IF NOT EXISTS @series (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      site INT NOT NULL,
      summary VARCHAR(64) NOT NULL,
      UNIQUE (site, summary)
    ) ${ENGINE}`,
    // Each bucket's beginning in the site's time zone, for reading by hand.
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
];

/** The newest version that this release knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** @param table The quoted name. */
export function versionTable(table: string): string {
  return `CREATE TABLE IF NOT EXISTS ${table} (
    id TINYINT NOT NULL PRIMARY KEY, version INT NOT NULL
  ) ${ENGINE} COMMENT = '${MARK}'`;
}
