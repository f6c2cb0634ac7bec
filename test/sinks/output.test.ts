import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { OutputWriter, PrintWriter, sumUrls, type UsageRecord } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { calendar } from '../../src/summaries/periods.ts';
import { eventually, startServer } from './support.ts';

describe('OutputWriter', () => {
  test('writes a line of JSON per record, with dates in the time zone of the site', async () => {
    const output = new PassThrough();
    const timeZone = 'Asia/Tokyo';
    await using app = await startServer(
      (directory) => [new OutputWriter({ output }), new SqliteStorage(join(directory, 'usage.db'))],
      { timeZone },
    );
    for (let n = 0; n < 3; n++) await app.request(`/${n}`);
    await app.usage.flush();
    const lines = String(output.read()).trimEnd().split('\n');
    // Queries use the storage, although it is not the first writer.
    const stored = (await app.usage.getUsage()).reverse();
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      stored.map((record) => ({ ...record, date: calendar(timeZone).format(record.date) })),
    );
    await app.usage.close();
    expect(output.writableEnded).toBe(false);
  });

  test('writes the result of transform, and calls its hooks', async () => {
    const output = new PassThrough();
    const hooked: string[] = [];
    await using app = await startServer(
      new OutputWriter({
        output,
        transform: ({ method, path }) => Buffer.from(`${method} ${path}\n`),
        hooks: [({ path }) => void hooked.push(path)],
      }),
    );
    await app.request('/a');
    await app.request('/b');
    await app.usage.close();
    expect(String(output.read())).toBe('GET /a\nGET /b\n');
    expect(hooked).toEqual(['/a', '/b']);
  });

  test('retries a failing stream, and writes every record once', async () => {
    const written: string[] = [];
    let failures = 3;
    const output = {
      write(text: string | Uint8Array, callback: (error?: Error) => void) {
        if (written.length === 4 && failures-- > 0) return callback(new Error('the pipe is full'));
        written.push(String(text));
        setImmediate(callback);
      },
    };
    await using app = await startServer(new OutputWriter({ output, transform: ({ path }) => path }));
    for (let n = 0; n < 10; n++) await app.request(`/${n}`);
    await app.usage.flush();
    expect(written).toEqual(Array.from({ length: 10 }, (_, n) => `/${n}`));
    expect(app.errors[0]?.message).toContain('cannot write to output: the pipe is full');
  });

  test('rejects records for which transform throws, and writes the others once', async () => {
    const written: string[] = [];
    const output = new Writable({
      write(chunk, _encoding, callback) {
        written.push(String(chunk));
        callback();
      },
    });
    const transform = ({ path }: UsageRecord) => {
      if (path === '/3') throw new Error('three');
      return path === '/5' ? (5 as unknown as string) : path;
    };
    await using app = await startServer(new OutputWriter({ output, transform }));
    for (let n = 0; n < 8; n++) await app.request(`/${n}`);
    await app.usage.flush();
    expect(written.sort()).toEqual(['/0', '/1', '/2', '/4', '/6', '/7']);
    expect(app.usage.status().storages[0]).toMatchObject({ ok: true, rejected: 2 });
  });

  test('does not end the process if promises reject', async () => {
    const written: string[] = [];
    let failures = 2;
    const output = {
      async write(text: string | Uint8Array, callback: (error?: Error) => void) {
        if (failures-- > 0) throw new Error('the service is away');
        written.push(String(text));
        callback();
      },
    };
    const transform = ({ path }: UsageRecord): string => {
      if (path === '/1') return Promise.reject(new Error('late')) as unknown as string;
      return path;
    };
    await using app = await startServer(new OutputWriter({ output, transform }));
    for (let n = 0; n < 3; n++) await app.request(`/${n}`);
    await app.usage.flush();
    expect(written).toEqual(['/0', '/2']);
    const messages = app.errors.map(({ message }) => message);
    expect(messages).toContainEqual(expect.stringContaining('the service is away'));
    expect(messages).toContainEqual(expect.stringContaining('transform returned a promise'));
  });

  test('does not end the process if a file cannot be opened', async () => {
    await using app = await startServer((directory) => [
      new OutputWriter({ output: createWriteStream(join(directory, 'nothing/here.log')) }),
    ]);
    expect(await app.request()).toBe('hello');
    await eventually(() => expect(app.usage.status().storages[0]!.error).not.toBeNull());
    await app.usage.close({ timeout: 100 });
  });

  test('a destroyed stream neither ends the process nor affects other storages', async () => {
    const output = new PassThrough();
    await using app = await startServer((directory) => [
      new SqliteStorage(join(directory, 'usage.db')),
      new OutputWriter({ output }),
    ]);
    await app.request();
    await app.usage.flush();
    output.destroy(new Error('gone'));
    expect(await app.request()).toBe('hello');
    await eventually(() => expect(app.usage.status().storages[0]!.committed).toBe(2));
    await eventually(() => expect(app.usage.status().storages[1]!.error).not.toBeNull());
    await app.usage.close({ timeout: 100 });
  });

  test.each([
    [{ output: 'file' }, 'option "OutputWriter.output" is "file"; expected a writable stream'],
    [{ transform: 1 }, 'option "OutputWriter.transform" is 1'],
    [{ hooks: [sumUrls] }, 'output cannot keep the summary sumUrls: a writer only receives records'],
    [{ hooks: ['urls'] }, 'output cannot keep the summary "urls"'],
    [{ outptu: 1 }, 'unknown option "outptu" in OutputWriter'],
  ])('rejects %j', (options, message) => {
    expect(() => new OutputWriter(options as never)).toThrow(message);
  });
});

describe('PrintWriter', () => {
  test('prints a line without control characters of clients', async () => {
    const printed: string[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(((text, callback) => {
      printed.push(String(text));
      (callback as () => void)();
      return true;
    }) as typeof process.stdout.write);
    try {
      await using app = await startServer(new PrintWriter(), { trustProxy: true });
      await app.request('/%1b[31m/ü?a=1', { 'x-forwarded-for': '203.0.113.9' });
      await app.usage.flush();
    } finally {
      write.mockRestore();
    }
    expect(printed).toHaveLength(1);
    expect(printed[0]).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z 203\.0\.113\.9 GET http:\/\/127\.0\.0\.1:\d+\/%1b\[31m\/%C3%BC\?a=1 200 5 bytes \d+\.\d ms\n$/,
    );
  });

  test('rejects summaries', () => {
    expect(() => new PrintWriter({ hooks: [sumUrls as never] })).toThrow(
      'print cannot keep the summary sumUrls',
    );
  });
});
