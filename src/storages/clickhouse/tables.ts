/** Tables and views, as SQL. Only `usage_records` and the three views are meant for manual queries. */
import { PERIODS } from '../../summaries/periods.ts';

/** Newest schema version that this release supports. */
export const SCHEMA_VERSION = 4;
/** Prefix of each table's comment, followed by the version. */
export const COMMENT = 'track-usage ';

export const TABLES = [
  'usage_sites',
  'usage_leases',
  'usage_retention',
  'usage_records',
  'usage_sums',
] as const;
export type TableName = (typeof TABLES)[number];

/** Tables whose rows cannot be written again by an app: see `identityOf`. */
export const DATA_TABLES = ['usage_sites', 'usage_records', 'usage_sums'] as const satisfies TableName[];

/**
 * Additional period of `usage_sums`, for rows that hold the stored position of each journal. Their key is the
 * journal's ID.
 */
export const JOURNAL_PERIOD = 'journal';

const VIEWS = { hour: 'usage_hourly', day: 'usage_daily', month: 'usage_monthly' } as const;

/** Number of inserts that a table remembers for deduplication. */
const WINDOW = 10_000;
/** Deduplication window of a replicated table. In s. */
const WINDOW_SECONDS = 7 * 24 * 3600;
/**
 * Minimum time between two merges that only delete expired rows. They rewrite a whole part. In s. The rows are deleted
 * by `prune` before, so that no query reads them.
 */
const TTL_SECONDS = 7 * 24 * 3600;
/**
 * Deduplication settings. Each kind of table uses its own, and ClickHouse Cloud may choose another kind than
 * the one requested.
 */
const SETTINGS = `merge_with_ttl_timeout = ${TTL_SECONDS},
  non_replicated_deduplication_window = ${WINDOW}, replicated_deduplication_window = ${WINDOW},
  replicated_deduplication_window_seconds = ${WINDOW_SECONDS}`;

interface Definition {
  engine: string;
  columns: string;
  order: string;
}

/** Column that version 3 added. */
const URL_KEY = "url_key Nullable(String) COMMENT 'key in sumUrls, if not the URL' CODEC(ZSTD)";

/** Columns that version 4 added, each after another one. */
const VERSION_4 = [
  { after: 'url_key', column: 'path Nullable(String) CODEC(ZSTD)' },
  {
    after: 'content_length',
    column: "received Nullable(UInt64) COMMENT 'body bytes of the request' CODEC(ZSTD)",
  },
  { after: 'platform', column: 'device LowCardinality(Nullable(String))' },
  { after: 'referrer', column: 'referrer_host LowCardinality(Nullable(String))' },
  { after: 'referrer_host', column: 'campaign LowCardinality(Nullable(String))' },
  { after: 'protocol', column: "class LowCardinality(Nullable(String)) COMMENT 'page, api or asset'" },
] as const;

/** Returns the definitions of the columns that version 4 added after one. */
function addedAfter(column: (typeof VERSION_4)[number]['after']): string {
  return VERSION_4.filter(({ after }) => after === column)
    .map((added) => added.column)
    .join(', ');
}

const DEFINITIONS: Readonly<Record<TableName, Definition>> = {
  usage_sites: {
    engine: 'MergeTree',
    columns: `
      site String,
      time_zone String,
      created DateTime64(6, 'UTC') DEFAULT now64(6)`,
    order: 'ORDER BY site',
  },
  // The last generation of each lease. See `ClickhouseMaintenance.lease`.
  usage_leases: {
    engine: 'ReplacingMergeTree(generation)',
    columns: `
      site LowCardinality(String),
      task LowCardinality(String),
      generation UInt64,
      holder String,
      until UInt64 COMMENT 'ms since 1970, by the clock of the server'`,
    order: 'ORDER BY (site, task)',
  },
  // The last stored row of each part of a site is in force, and the latest start of all its rows.
  usage_retention: {
    engine: 'AggregatingMergeTree',
    columns: `
      site LowCardinality(String),
      part LowCardinality(String),
      expires UInt8 COMMENT '1 where the engine deletes expired rows (TTL)',
      keep LowCardinality(String),
      before SimpleAggregateFunction(max, UInt64) COMMENT 'start of the kept data in ms since 1970, or 0',
      stored SimpleAggregateFunction(max, DateTime64(6, 'UTC')) DEFAULT now64(6)`,
    order: 'ORDER BY (site, part, expires, keep)',
  },
  usage_records: {
    engine: 'MergeTree',
    columns: `
      date DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
      site LowCardinality(String),
      journal LowCardinality(String) COMMENT 'the process that wrote it',
      ordinal UInt64 COMMENT 'its number in there' CODEC(Delta, ZSTD),
      server_name LowCardinality(String),
      method LowCardinality(String),
      url String CODEC(ZSTD),
      ${URL_KEY},
      ${addedAfter('url_key')},
      route LowCardinality(Nullable(String)),
      protocol LowCardinality(String),
      ${addedAfter('protocol')},
      status UInt16 CODEC(ZSTD),
      content_length UInt64 COMMENT 'bytes' CODEC(T64, ZSTD),
      ${addedAfter('content_length')},
      duration UInt64 COMMENT 'µs' CODEC(T64, ZSTD),
      remote_addr Nullable(String) CODEC(ZSTD),
      forwarded_for Nullable(String) CODEC(ZSTD),
      user_agent LowCardinality(Nullable(String)),
      browser LowCardinality(Nullable(String)),
      version LowCardinality(Nullable(String)),
      platform LowCardinality(Nullable(String)),
      ${addedAfter('platform')},
      language LowCardinality(Nullable(String)),
      referrer Nullable(String) CODEC(ZSTD),
      ${addedAfter('referrer')},
      ${addedAfter('referrer_host')},
      username Nullable(String) CODEC(ZSTD),
      authorization UInt8 CODEC(ZSTD),
      visitor Nullable(String) CODEC(ZSTD),
      country LowCardinality(Nullable(String)),
      bot UInt8 CODEC(ZSTD),
      blueprint LowCardinality(Nullable(String)),
      extra String COMMENT 'JSON, or empty' CODEC(ZSTD)`,
    order: 'PARTITION BY toYYYYMM(date) ORDER BY (site, date, journal, ordinal)',
  },
  /*
   * The journal's position is in the same part as a batch's sums: both are stored or neither. The measures of a
   * rebuild or a deleted person may be negative. They are stored as two's complement, which adds up modulo 2^64.
   * Columns to sum cannot be listed: the engine would no longer add up the positions.
   */
  usage_sums: {
    engine: 'SummingMergeTree',
    columns: `
      site LowCardinality(String),
      summary LowCardinality(String),
      period LowCardinality(String),
      bucket DateTime('UTC') CODEC(Delta, ZSTD),
      absent UInt8 COMMENT '1 where the key is null',
      key String CODEC(ZSTD),
      hits UInt64 CODEC(T64, ZSTD),
      transfer UInt64 CODEC(T64, ZSTD),
      errors UInt64 CODEC(T64, ZSTD),
      duration UInt64 CODEC(T64, ZSTD),
      position SimpleAggregateFunction(max, UInt64),
      ordinal SimpleAggregateFunction(max, UInt64)`,
    order: 'ORDER BY (site, summary, period, bucket, absent, key)',
  },
};

/** Names in the statements: the quoted database, and the options with which tables are created. */
export interface Naming {
  database: string;
  /** `ON CLUSTER …`, or empty. */
  onCluster: string;
  /** Quoted name of the cluster. */
  cluster: string | undefined;
  /** Schema comment of each table. */
  comment: string;
}

/**
 * Returns the table that holds the rows. On a cluster, this is the local table of each server behind the
 * distributed one.
 */
export function localName(table: TableName, { database, cluster }: Naming): string {
  return `${database}.${table}${cluster ? '_local' : ''}`;
}

/** Condition on groups of sums: without hits, or with hits that another server has not received yet, they do not exist. */
export const HAS_HITS = 'toInt64(hits) > 0';

/**
 * Returns the statements that create missing tables. `usage_sums` is the last table: if it exists, all do.
 */
export function creation(naming: Naming): string[] {
  const { database, onCluster, cluster, comment } = naming;
  return [
    ...TABLES.flatMap((table) => {
      const { engine, columns, order } = DEFINITIONS[table];
      const local = localName(table, naming);
      const holding = `CREATE TABLE IF NOT EXISTS ${local} ${onCluster} (${columns})
        ENGINE = ${cluster ? 'Replicated' : ''}${engine} ${order} SETTINGS ${SETTINGS} COMMENT '${comment}'`;
      if (!cluster) return [holding];
      return [
        holding,
        `CREATE TABLE IF NOT EXISTS ${database}.${table} ${onCluster} (${columns})
         ENGINE = Distributed(${cluster}, ${database}, ${table}_local) COMMENT '${comment}'`,
      ];
    }),
    ...views('CREATE VIEW IF NOT EXISTS', naming),
  ];
}

/** Returns the statements that change tables of older versions. Run after `creation`, before the version is written. */
export function migration(naming: Naming): string[] {
  const altered = (['usage_records', 'usage_sums'] as const).map(
    (table) =>
      `ALTER TABLE ${localName(table, naming)} ${naming.onCluster} MODIFY SETTING merge_with_ttl_timeout = ${TTL_SECONDS}`,
  );
  const { database, onCluster } = naming;
  const added = [...new Set([localName('usage_records', naming), `${database}.usage_records`])].map(
    (table) =>
      `ALTER TABLE ${table} ${onCluster} ${[{ after: 'url', column: URL_KEY }, ...VERSION_4]
        .map(({ column, after }) => `ADD COLUMN IF NOT EXISTS ${column} AFTER ${after}`)
        .join(', ')}`,
  );
  // The views of version 1 show sums without hits.
  return [...altered, ...added, ...views('CREATE OR REPLACE VIEW', naming)];
}

function views(create: string, { database, onCluster }: Naming): string[] {
  return PERIODS.map(
    (period) => `
      ${create} ${database}.${VIEWS[period]} ${onCluster} AS
      SELECT site, summary, bucket AS date, if(absent = 1, NULL, s.key) AS key, sum(s.hits) AS hits,
        sum(s.transfer) AS transfer, sum(s.errors) AS errors, sum(s.duration) AS duration
      FROM ${database}.usage_sums AS s
      WHERE period = '${period}' GROUP BY site, summary, bucket, absent, s.key HAVING ${HAS_HITS}`,
  );
}

/** Returns the statements that write the version. The one of `usage_sums` counts, and is the last. */
export function versioning(naming: Naming): string[] {
  const { database, onCluster, cluster, comment } = naming;
  return TABLES.flatMap((table) => [
    ...(cluster ? [localName(table, naming)] : []),
    `${database}.${table}`,
  ]).map((table) => `ALTER TABLE ${table} ${onCluster} MODIFY COMMENT '${comment}'`);
}
