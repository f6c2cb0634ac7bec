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

/** Paths of the certificate for localhost and its key. */
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

/** Stores a record and queries it. */
async function expectUsable(storage: Storage): Promise<void> {
  onTestFinished(() => storage.close());
  const writer = await openWriter(storage);
  await writer.apply(new TestJournal('a', storage.summaries).batch([{}]));
  await writer.close();
  expect(await rows(storage, 'urls', 'month')).toHaveLength(1);
}

const expectRefused = (storage: Storage) => {
  onTestFinished(() => storage.close());
  return expect(openWriter(storage)).rejects.toThrow(/self-signed certificate/);
};

/** Runs the command line with a URL without the certificate, which Node trusts by its environment. Returns its output. */
async function runCli(url: string): Promise<string> {
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

  test('connects with the certificate in the URL', async () => {
    const storage = new PostgresStorage(
      urlWith(`sslmode=verify-full&sslrootcert=${cert}`),
      options('by_url'),
    );
    const client = new pg.Client(server.url());
    await client.connect();
    onTestFinished(() => client.end());
    await expectUsable(storage);
    const { rows: found } = await client.query(
      `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'track-usage'`,
    );
    expect(found).toEqual([{ ssl: true }]);
    expect(await runCli(urlWith('sslmode=verify-full&schema=by_url'))).toContain('http://localhost/,1,');
  });

  test('connects with driver options', async () => {
    const ssl = { ca: TLS.cert.toString() };
    await expectUsable(new PostgresStorage({ connectionString: urlWith(''), ssl }, options('by_options')));
  });

  test('refuses an untrusted certificate', async () => {
    await expectRefused(new PostgresStorage(urlWith('sslmode=verify-full'), options('refused')));
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

  test('connects with a client object', async () => {
    const client = createClient({ url, socket: { tls: true, ca: TLS.cert, host: 'localhost' } });
    await client.connect();
    onTestFinished(() => client.destroy());
    await expectUsable(new RedisStorage(client, { hooks: [sumUrls] }));
    expect(await runCli(url)).toContain('http://localhost/,1,');
  });

  test('refuses an untrusted certificate', async () => {
    await expectRefused(new RedisStorage(url, { hooks: [sumUrls], prefix: 'refused' }));
  });
});
