/** The first program of the pages about PostgreSQL, MySQL and Redis, and PostgreSQL's queries, on a real server. */
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { hasMysql, mysqlServer } from '../support/servers/mysql.ts';
import { postgresServer } from '../support/servers/postgres.ts';
import { RedisServer } from '../support/servers/redis.ts';
import { programOf } from '../support/services.ts';
import { DocsProject, read } from './documentation.ts';

const PAGES = [
  {
    name: 'postgres',
    runs: true,
    shown: /postgres:\/\/user:password@localhost:5432\/usage/,
    start: async () => {
      const server = await postgresServer();
      return { url: server.url(), close: () => server.close() };
    },
    query: queryPostgres,
  },
  {
    name: 'mysql',
    runs: hasMysql,
    shown: /mysql:\/\/user:password@localhost:3306\/usage/,
    start: async () => {
      const server = await mysqlServer();
      return { url: server.url(`docs_program_${process.pid}`), close: () => server.close() };
    },
  },
  {
    name: 'redis',
    runs: programOf('redis') !== undefined,
    shown: /redis:\/\/user:password@localhost:6379\/0/,
    start: () => RedisServer.start(),
  },
];

describe.each(PAGES)('the page about $name', ({ name, runs, shown, start, query }) => {
  test.skipIf(!runs)('has a program that runs, and queries', async () => {
    const [, program = ''] =
      new RegExp(`^\`\`\`js ${name}\\n(.*?)^\`\`\`$`, 'ms').exec(read(`docs/guides/${name}.md`)) ?? [];
    expect(program).toMatch(shown);
    const project = new DocsProject();
    const server = await start();
    try {
      const localProgram = program.replace(shown, server.url).replace(
        /$/,
        `
await new Promise((resolve) => server.once('listening', resolve));
await (await fetch('http://127.0.0.1:3000/')).text();
await usage.ready();
await usage.flush();
console.log((await usage.getSum('urls', { period: 'month' }))[0].hits);
await usage.close();
server.close();`,
      );
      const { stdout, stderr, code } = await project.run(localProgram, project.directory());
      expect({ stdout, stderr, code }).toEqual({ stdout: '1\n', stderr: '', code: 0 });
      await query?.(server.url);
    } finally {
      await server.close();
      project.remove();
    }
  });
});

/** Runs the queries of the page about PostgreSQL after its program: each finds the program's request. */
async function queryPostgres(url: string): Promise<void> {
  const queries = [...read('docs/guides/postgres.md').matchAll(/^```sql postgres\n(.*?)^```$/gms)];
  expect(queries.length).toBeGreaterThan(3);
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const [, text = ''] of queries) {
      const { rowCount } = await client.query(text);
      expect({ text, rowCount }).toEqual({ text, rowCount: 1 });
    }
  } finally {
    await client.end();
  }
}
