import { identifier, literal, type Statements } from './client.ts';
import type { ClickhouseLocation } from './options.ts';
import { COMMENT, DATA_TABLES, localName, type Naming, SCHEMA_VERSION, type TableName } from './tables.ts';

/** Tables of a location. */
export interface Tables {
  readonly naming: Naming;
  /** Quoted names, for reading and writing. */
  readonly records: string;
  readonly sums: string;
  readonly sites: string;
  readonly leases: string;
  readonly retention: string;
  /** Reads from all replicas, because one of them may lag. */
  readonly everyRecords: string;
  readonly everySums: string;
  /** Unquoted, like `cluster`. */
  readonly database: string;
  readonly cluster: string | undefined;
}

export async function tablesOf(
  statements: Statements,
  { database, cluster }: ClickhouseLocation,
): Promise<Tables> {
  const name =
    database ?? (await statements.rows<{ name: string }>('SELECT currentDatabase() AS name'))[0]?.name ?? '';
  const quoted = identifier(name);
  const naming: Naming = {
    database: quoted,
    onCluster: cluster === undefined ? '' : `ON CLUSTER ${identifier(cluster)}`,
    cluster: cluster === undefined ? undefined : identifier(cluster),
    comment: `${COMMENT}${SCHEMA_VERSION}`,
  };
  const every = (table: TableName) => {
    const local = localName(table, naming);
    return cluster === undefined ? local : `clusterAllReplicas(${literal(cluster)}, ${local})`;
  };
  return {
    naming,
    everyRecords: every('usage_records'),
    everySums: every('usage_sums'),
    records: `${quoted}.usage_records`,
    sums: `${quoted}.usage_sums`,
    sites: `${quoted}.usage_sites`,
    leases: `${quoted}.usage_leases`,
    retention: `${quoted}.usage_retention`,
    database: name,
    cluster,
  };
}

/** Returns an identity that changes when the tables are dropped and recreated. Empty if there are none. */
export async function identityOf(statements: Statements, tables: Tables): Promise<string> {
  const names = DATA_TABLES.map((table) => unqualified(table, tables));
  const found = await statements.rows<{ name: string; uuid: string }>(
    `SELECT name, toString(uuid) AS uuid FROM system.tables
     WHERE database = ${literal(tables.database)} AND name IN (${names.map(literal).join(', ')}) ORDER BY name`,
  );
  return found.length < names.length ? '' : found.map(({ uuid }) => uuid).join(' ');
}

/** Returns the unquoted name of the table that holds the rows, without the database. */
export function unqualified(table: TableName, { naming }: Tables): string {
  return localName(table, naming).slice(naming.database.length + 1);
}

/** Returns the complete engine clause of a table, with its TTL and settings. */
export async function engineOf(statements: Statements, tables: Tables, table: TableName): Promise<string> {
  const [row] = await statements.rows<{ engine_full: string }>(
    `SELECT engine_full FROM system.tables
     WHERE database = ${literal(tables.database)} AND name = ${literal(unqualified(table, tables))}`,
  );
  return row?.engine_full ?? '';
}
