/** The page about MySQL: its queries, on the test server. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { hasMysql, type MysqlServer, mysqlServer } from '../support/servers/mysql.ts';
import { read } from './documentation.ts';

const queries = [...read('docs/guides/mysql.md').matchAll(/^```sql mysql\n(.*?)^```$/gms)].map(
  ([, text = '']) => text,
);

const DATABASE = `docs_${process.pid}`;
let server: MysqlServer;
let connection: mysql.Connection;

beforeAll(async () => {
  if (!hasMysql) return;
  server = await mysqlServer();
  const storage = new MysqlStorage(server.url(DATABASE));
  const writer = await openWriter(storage);
  await writer.apply(
    new TestJournal('a', storage.summaries).batch([{ extra: { vars: { plan: 'gold' } } }, { status: 500 }]),
  );
  await writer.close();
  connection = await mysql.createConnection(server.url(DATABASE));
});
afterAll(async () => {
  await connection?.query(`DROP DATABASE ${DATABASE}`);
  await connection?.end();
  await server?.close();
});

describe.skipIf(!hasMysql)('the MySQL page', () => {
  test('shows queries that run', () => expect(queries.length).toBeGreaterThan(3));
  test.each(queries.map((query) => [query]))('%s', async (query) => {
    const [answer] = await connection.query(query);
    expect((answer as unknown[]).length).toBeGreaterThan(0);
  });
});
