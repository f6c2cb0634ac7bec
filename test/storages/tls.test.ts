import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Storage, sumUrls } from '../../src/index.ts';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { RedisStorage } from '../../src/storages/redis/index.ts';
import { TestJournal } from '../../src/testing/batches.ts';
import { openWriter, rows } from '../../src/testing/support.ts';
import { freePort } from '../support/servers/free-port.ts';
import { type PostgresServer, postgresServer } from '../support/servers/postgres.ts';
import { giveTo, serverUser } from '../support/servers/process.ts';
import { RedisServer } from '../support/servers/redis.ts';
import { isWanted } from '../support/services.ts';
import { TLS } from '../support/tls.ts';

const BIN = join(import.meta.dirname, '../../src/cli/bin.ts');

/** Of the certificate of localhost and its key. */
let cert = '';
let key = '';
let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'track-usage-tls-'));
  [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(cert, TLS.cert);
  writeFileSync(key, TLS.key);
  // A server refuses a key that others may read.
  chmodSync(key, 0o600);
  giveTo(serverUser(), directory, cert, key);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Stores a record and asks for it. */
async function use(storage: Storage): Promise<void> {
  onTestFinished(() => storage.close());
  const writer = await openWriter(storage);
  await writer.apply(new TestJournal('a', storage.summaries).batch([{}]));
  await writer.close();
  expect(await rows(storage, 'urls', 'month')).toHaveLength(1);
}

const refused = (storage: Storage) => {
  onTestFinished(() => storage.close());
  return expect(openWriter(storage)).rejects.toThrow(/self-signed certificate/);
};

/** What the command line answers to a URL that says nothing of the certificate, which Node is told to trust. */
async function answerTo(url: string): Promise<string> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: cert };
  const argv = [BIN, 'sum', 'urls', '--storage', url, '--period', 'month', '--format', 'csv'];
  return (await promisify(execFile)(process.execPath, argv, { env })).stdout;
}

describe.skipIf(process.env.TEST_POSTGRES_URL)('PostgreSQL over TLS', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await postgresServer(undefined, ['ssl=on', `ssl_cert_file=${cert}`, `ssl_key_file=${key}`]);
  });
  afterAll(() => server?.close());

  const urlWith = (query: string) => `${server.url().replace('127.0.0.1', 'localhost')}?${query}`;
  const options = (name: string) => ({ hooks: [sumUrls], schema: name });

  test('with the certificate named in the URL', async () => {
    const storage = new PostgresStorage(
      urlWith(`sslmode=verify-full&sslrootcert=${cert}`),
      options('by_url'),
    );
    const client = new pg.Client(server.url());
    await client.connect();
    onTestFinished(() => client.end());
    await use(storage);
    const { rows: found } = await client.query(
      `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'track-usage'`,
    );
    expect(found).toEqual([{ ssl: true }]);
    expect(await answerTo(urlWith('sslmode=verify-full&schema=by_url'))).toContain('http://localhost/,1,');
  });

  test('with options of the driver', async () => {
    const ssl = { ca: TLS.cert.toString() };
    await use(new PostgresStorage({ connectionString: urlWith(''), ssl }, options('by_options')));
  });

  test('not where nobody vouches for the certificate', async () => {
    await refused(new PostgresStorage(urlWith('sslmode=verify-full'), options('refused')));
  });
});

describe.runIf(isWanted('redis'))('Redis over TLS', () => {
  let server: RedisServer;
  let url = '';
  beforeAll(async () => {
    const port = await freePort();
    url = `rediss://localhost:${port}`;
    const files = ['--tls-cert-file', cert, '--tls-key-file', key];
    server = await RedisServer.start('--tls-port', String(port), ...files, '--tls-auth-clients', 'no');
  });
  afterAll(() => server?.close());

  test('with a client of the app', async () => {
    const client = createClient({ url, socket: { tls: true, ca: TLS.cert, host: 'localhost' } });
    await client.connect();
    onTestFinished(() => client.destroy());
    await use(new RedisStorage(client, { hooks: [sumUrls] }));
    expect(await answerTo(url)).toContain('http://localhost/,1,');
  });

  test('not where nobody vouches for the certificate', async () => {
    await refused(new RedisStorage(url, { hooks: [sumUrls], prefix: 'refused' }));
  });
});
