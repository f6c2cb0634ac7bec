/** The page about ClickHouse: its program and its queries, on the engine. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter } from '../../src/testing/support.ts';
import { type ClickhouseServer, clickhouseServer } from '../support/servers/clickhouse.ts';
import { DocsProject, read } from './documentation.ts';

/** Blocks that need a ClickHouse server. */
function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language} clickhouse\\n(.*?)^\`\`\`$`, 'gms');
  return [...read('docs/guides/clickhouse.md').matchAll(fence)].map(([, text = '']) => text);
}

const DATABASE = 'usage';
let project: DocsProject;
let clickhouse: ClickhouseServer;

beforeAll(async () => {
  project = new DocsProject();
  clickhouse = await clickhouseServer();
  const storage = new ClickhouseStorage(clickhouse.url(DATABASE));
  const writer = await openWriter(storage);
  await writer.apply(new TestJournal('a', storage.summaries).batch([{ route: '/' }, { status: 404 }]));
  await writer.close();
});
afterAll(async () => {
  project?.remove();
  await clickhouse?.close();
});

test.each(blocks('js').map((program) => [program]))('%s', async (program) => {
  const url = /clickhouse:\/\/user:password@localhost:8123\/usage/;
  expect(program).toMatch(url);
  const localProgram = program.replace(url, clickhouse.url(DATABASE));
  const { stderr, code } = await project.run(localProgram, project.directory());
  expect({ stderr, code: code ?? 0 }).toEqual({ stderr: '', code: 0 });
});

const queries = blocks('sql');
test.each(queries.map((query) => [query]))('%s', async (query) => {
  const named = query.replace(/\busage_\w+/g, (table) => `${DATABASE}.${table}`);
  const answer = await clickhouse.sql(named);
  if (/^SELECT .* FROM usage_(?:daily|monthly)/s.test(query)) expect(answer).toContain('http://localhost/');
  else expect(answer).not.toContain('Exception');
});

test('shows queries that run', () => expect(queries.length).toBeGreaterThan(3));
