/**
 * ClickHouse's engine (chdb) behind the part of ClickHouse's HTTP interface that the official client uses:
 * `clickhouse-process.ts <directory> <port>`. Prints `listening PORT`.
 *
 * It has no Keeper. It knows one cluster, `one`, with itself as the only shard. Features that require Keeper
 * are removed from the statements (`ON CLUSTER`, `Replicated…`).
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import chdb from 'track-usage-chdb';
import { CLICKHOUSE_PASSWORD } from './clickhouse-password.ts';

const [directory = '', port = '0'] = process.argv.slice(2);
/** URL parameters that are not settings. */
const NOT_SETTINGS =
  /^(?:query|database|default_format|query_id|session_\w+|user|password|role|enable_http_compression|wait_end_of_query|buffer_size|compress|decompress)$/;
const STATUS: Record<string, number> = { 60: 404, 81: 404, 497: 403, 516: 403, 62: 400, 36: 400 };

mkdirSync(directory, { recursive: true });
const config = join(directory, 'config.xml');
writeFileSync(
  config,
  `<clickhouse><tcp_port>9000</tcp_port><remote_servers><one><shard><replica>
   <host>127.0.0.1</host><port>9000</port></replica></shard></one></remote_servers></clickhouse>`,
);
const data = join(directory, 'data');
const connect = () => chdb.CreateConnection(data, [`--config-file=${config}`]);
// Keeps the engine open between requests.
connect();

const server = createServer({ maxHeaderSize: 1_048_576 }, (request, response) => {
  answer(request, response).catch((error: Error) => fail(response, error));
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/ping') {
    response.end('Ok.\n');
    return;
  }
  let body: Buffer;
  try {
    body = await buffer(request);
  } catch {
    // The client disconnected before sending everything.
    return;
  }
  if (request.headers['content-encoding'] === 'gzip') body = gunzipSync(body);
  if (!isKnown(request, url))
    throw new Error('Code: 516. DB::Exception: Authentication failed (AUTHENTICATION_FAILED)');
  const inUrl = url.searchParams.get('query');
  const query = withoutKeeper(inUrl ?? body.toString());
  const connection = connect();
  try {
    const run = (sql: string) => chdb.QueryAsyncConnection(connection, sql, 'TabSeparated');
    const database = url.searchParams.get('database');
    if (database) await run(`USE \`${database}\``);
    for (const [name, value] of url.searchParams) {
      if (!NOT_SETTINGS.test(name)) await run(`SET ${name} = ${quoted(value)}`);
    }
    response.setHeader('X-ClickHouse-Query-Id', url.searchParams.get('query_id') ?? randomUUID());
    if (inUrl !== null && body.length > 0) {
      await insert(run, query, body);
      response.end();
    } else {
      send(request, response, url, Buffer.from((await run(query)).bytes ?? []));
    }
  } finally {
    chdb.CloseConnection(connection);
  }
}

/** Inserts data from a file. Data within the statement would end at the first empty line. */
async function insert(run: (sql: string) => Promise<unknown>, query: string, body: Buffer): Promise<void> {
  const file = join(directory, randomUUID());
  writeFileSync(file, body);
  try {
    await run(query.replace(/\bFORMAT\s+\w+\s*$/i, (format) => `FROM INFILE ${quoted(file)} ${format}`));
  } finally {
    rmSync(file);
  }
}

function send(request: IncomingMessage, response: ServerResponse, url: URL, text: Buffer): void {
  const wanted = /^(?:1|true)$/.test(url.searchParams.get('enable_http_compression') ?? '');
  if (wanted && /\bgzip\b/.test(String(request.headers['accept-encoding']))) {
    response.setHeader('Content-Encoding', 'gzip');
    response.end(gzipSync(text));
  } else response.end(text);
}

function isKnown({ headers }: IncomingMessage, { searchParams }: URL): boolean {
  const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1];
  const given = basic
    ? Buffer.from(basic, 'base64').toString()
    : `${headers['x-clickhouse-user'] ?? searchParams.get('user')}:${headers['x-clickhouse-key'] ?? searchParams.get('password')}`;
  return given === `default:${CLICKHOUSE_PASSWORD}`;
}

function withoutKeeper(query: string): string {
  if (!/^\s*(?:CREATE|ALTER|DROP|DELETE|OPTIMIZE|SYSTEM)\b/i.test(query)) return query;
  return query.replace(/\bON CLUSTER `?one`?/g, '').replace(/\bReplicated(\w*MergeTree)/g, '$1');
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function fail(response: ServerResponse, { message }: Error): void {
  const code = /Code: (\d+)/.exec(message)?.[1] ?? '1002';
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.statusCode = STATUS[code] ?? 500;
  response.setHeader('X-ClickHouse-Exception-Code', code);
  response.end(/^Code: /.test(message) ? message : `Code: ${code}. DB::Exception: ${message}`);
}

server.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
// The parent process holds the other end.
process.stdin.on('end', () => process.exit()).resume();
