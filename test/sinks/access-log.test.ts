import { fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { RecordBatch } from '../../src/batch.ts';
import { AccessLogWriter } from '../../src/index.ts';
import { AccessLogSink } from '../../src/sinks/access-log/writer.ts';
import type { Batch } from '../../src/storage/contract.ts';
import { eventually, startServer } from './support.ts';

const linesOf = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1);

describe('access log lines', () => {
  test('have the format of Apache, in the time zone of the site', async () => {
    await using app = await startServer((directory) => new AccessLogWriter(join(directory, 'access.log')), {
      timeZone: 'Asia/Kathmandu',
      trustProxy: true,
    });
    await app.request('/a%20b?c=d&token=x', {
      'user-agent': 'quotes " and \\ backslashes',
      referer: 'https://example.com/?q=ü',
      'x-forwarded-for': '2001:db8::1',
      authorization: `Basic ${Buffer.from('jane "q" doe\n:secret').toString('base64')}`,
    });
    await app.request('/?status=204', { 'user-agent': '' });
    await app.request('/', {
      'x-forwarded-host': 'a/b c',
      authorization: `Basic ${Buffer.from('a[01/Jan/2020] :x').toString('base64')}`,
    });
    await app.usage.flush();
    const [first, second, third, ...more] = linesOf(join(app.directory, 'access.log'));
    expect(first).toMatch(
      /^2001:db8::1 - jane%20%22q%22%20doe%0A \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0545\] "GET \/a%20b\?c=d&token=REDACTED HTTP\/1\.1" 200 5 "https:\/\/example\.com\/\?q=[^"]+" "quotes \\" and \\\\ backslashes"$/,
    );
    expect(second).toMatch(/^127\.0\.0\.1 - - \[[^\]]+\] "GET \/\?status=204 HTTP\/1\.1" 204 - "-" "[^"]*"$/);
    expect(third).toMatch(/^127\.0\.0\.1 - a%5B01\/Jan\/2020%5D%20 \[[^\]]+\] "GET \/ HTTP\/1\.1" 200 5 /);
    expect(more).toEqual([]);
  });

  test('have the format common', async () => {
    await using app = await startServer(
      (directory) => new AccessLogWriter(join(directory, 'access.log'), { format: 'common' }),
    );
    await app.request('/');
    await app.usage.flush();
    expect(linesOf(join(app.directory, 'access.log'))).toEqual([
      expect.stringMatching(/^127\.0\.0\.1 - - \[[^\]]+\] "GET \/ HTTP\/1\.1" 200 5$/),
    ]);
  });
});

describe('access log file', () => {
  test('may be renamed, and keeps lines of other programs', async () => {
    await using app = await startServer((directory) => {
      writeFileSync(join(directory, 'access.log'), 'before\n');
      return new AccessLogWriter(join(directory, 'access.log'));
    });
    const log = join(app.directory, 'access.log');
    await app.request('/1');
    await app.usage.flush();
    appendFileSync(log, 'between\n');
    await app.request('/2');
    await app.usage.flush();
    renameSync(log, `${log}.1`);
    await app.request('/3');
    await app.usage.flush();
    const paths = (file: string) => linesOf(file).map((line) => /GET (\S+)/.exec(line)?.[1] ?? line);
    expect(paths(`${log}.1`)).toEqual(['before', '/1', 'between', '/2']);
    expect(paths(log)).toEqual(['/3']);
  });

  test('is reported if it cannot be written, and gets the lines later', async () => {
    await using app = await startServer(
      (directory) => new AccessLogWriter(join(directory, 'logs', 'access.log')),
    );
    expect(await app.request('/1')).toBe('hello');
    await eventually(() => expect(app.usage.status().storages[0]!.error).not.toBeNull());
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(app.directory, 'logs'));
    await app.usage.flush();
    expect(linesOf(join(app.directory, 'logs', 'access.log'))).toHaveLength(1);
  });

  test.each([0, 1, 150, Number.POSITIVE_INFINITY])(
    'is completed after a process was killed after %d bytes of a batch',
    async (appended) => {
      const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
      const path = join(directory, 'access.log');
      const context = { site: 'default', timeZone: 'UTC', durable: false };
      const open = () => new AccessLogSink({ path, format: 'common' }, context);
      const batch = (from: number, to: number): Batch => {
        const records = new RecordBatch();
        for (let n = from; n < to; n++) {
          const i = records.length++;
          records.text.method[i] = records.intern('GET');
          records.text.url[i] = records.intern(`http://localhost/${n}`);
          records.text.protocol[i] = records.intern('HTTP/1.1');
        }
        const at = (position: number) => ({ position, ordinal: position });
        return { journal: 'j', from: at(from), to: at(to), records, deltas: [] };
      };
      let sink = open();
      try {
        expect(await sink.apply(batch(0, 3))).toBe(true);
        const start = statSync(path).size;
        expect(await sink.apply(batch(3, 9))).toBe(true);
        const expected = readFileSync(path);
        await sink.close();

        // As after SIGKILL during the write of the second batch.
        truncateSync(path, Math.min(start + appended, expected.length));
        const database = new DatabaseSync(`${path}.positions`);
        database.exec('UPDATE journals SET position = 3, ordinal = 3');
        database
          .prepare("INSERT INTO pending VALUES (1, 'j', 9, 9, ?, ?, ?)")
          .run(String(statSync(path, { bigint: true }).ino), start, expected.subarray(start));
        database.close();

        sink = open();
        expect(await sink.apply(batch(3, 8))).toBe(false);
        expect(await sink.position('j')).toEqual({ position: 9, ordinal: 9 });
        expect(await sink.apply(batch(9, 9))).toBe(true);
        expect(readFileSync(path, 'utf8')).toBe(expected.toString());
        expect(statSync(`${path}.positions`).mode & 0o007).toBe(0);
      } finally {
        await sink.close();
        await rm(directory, { recursive: true, force: true });
      }
    },
  );

  test('gets every line once, even if the process is killed repeatedly', async () => {
    await using app = await startServer((directory) => new AccessLogWriter(join(directory, 'unused.log')));
    const { directory } = app;
    let requests = 0;
    for (let round = 0; round < 5; round++) {
      const child = fork(new URL('./access-log-server.ts', import.meta.url), [directory], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      try {
        const [port] = (await once(child, 'message')) as [number];
        const until = performance.now() + 300 + Math.random() * 700;
        while (performance.now() < until) {
          await (await fetch(`http://127.0.0.1:${port}/${requests}`)).text();
          requests += 1;
        }
      } finally {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
    const last = fork(new URL('./access-log-server.ts', import.meta.url), [directory, 'drain'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    try {
      await once(last, 'exit');
    } finally {
      last.kill('SIGKILL');
    }
    const paths = linesOf(join(directory, 'access.log')).map((line) => Number(/GET \/(\d+)/.exec(line)?.[1]));
    expect(paths.sort((a, b) => a - b)).toEqual(Array.from({ length: requests }, (_, n) => n));
    expect(requests).toBeGreaterThan(20);
  });
});
