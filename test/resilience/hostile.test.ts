/** Input of attackers, and a blocked event loop, side by side with the same app without tracking. */
import net from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { GARBAGE } from './garbage.ts';
import { type Ask, expectSame, expectSameOrder, type SideBySideApp, startBoth } from './side-by-side.ts';

test('the event loop is blocked for 5 s: everything is stored, with the times that it took', async () => {
  const { bare, tracked } = await startBoth('fine');
  const asks: Ask[] = [
    { path: '/before' },
    { path: '/block' },
    ...Array.from({ length: 40 }, (_, i) => ({ path: `/after/${i}` })),
  ];
  const [expected, answers] = await Promise.all([bare.ask(asks), tracked.ask(asks)]);
  expectSame(expected, answers);
  expectSameOrder(expected, answers);
  const { status } = await tracked.command('flush');
  expect(status).toMatchObject({
    captured: asks.length,
    dropped: { journal: 0, capture: 0 },
    storages: [{ ok: true, committed: asks.length, lag: { records: 0 } }],
    lastError: null,
  });
  await Promise.all([bare.end(), tracked.end()]);
  const storage = new SqliteStorage(join(tracked.directory, 'usage.db'));
  const records = await storage.getUsage({ limit: 0 });
  await storage.close();
  const [blocked, ...more] = records.filter(({ path }) => path === '/block');
  expect(more).toEqual([]);
  const { time } = answers[1]!;
  // In µs, and in ms. The client's time includes the connection.
  expect(blocked!.duration).toBeGreaterThanOrEqual(5_000_000);
  expect(blocked!.duration).toBeLessThanOrEqual(time * 1000);
  // A request that waits in the kernel has not arrived: its duration is that of the handler.
  const others = records.filter(({ path }) => path !== '/block').map(({ duration }) => duration);
  expect(others).toHaveLength(asks.length - 1);
  expect(Math.min(...others)).toBeGreaterThanOrEqual(0);
  expect(others.sort((a, b) => a - b)[others.length >> 1]).toBeLessThan(2_000_000);
});

test('headers of 64 KiB', async () => {
  const { bare, tracked } = await startBoth('fine');
  const KIB_64 = 64 * 1024;
  const long = (part: string) => part.repeat(KIB_64 / part.length);
  const headers = [
    { cookie: long('a=b; x=y') },
    { cookie: long('track_usage=; ') },
    { 'user-agent': long('Mozilla/5.0 (X11) ') },
    { referer: `http://localhost/?${long('token=1&')}` },
    { 'accept-language': long('de;q=0.7,en;q=0.8,') },
    { 'x-forwarded-for': long('203.0.113.7, ') },
    { 'x-forwarded-for': long(',') },
    { 'x-forwarded-host': long('h'), 'x-forwarded-proto': 'https' },
    {
      authorization: `Basic ${Buffer.from(`${long('u')}:p`)
        .toString('base64')
        .slice(0, KIB_64)}`,
    },
    { authorization: long('Basic ') },
    { host: long('h') },
    Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`x-header-${i}`, 'y'.repeat(60)])),
  ];
  const asks = Array.from({ length: 600 }, (_, i): Ask => {
    const path = i % 7 === 0 ? `/${'p'.repeat(KIB_64)}?${i}` : `/${i}`;
    return { path, headers: i % 7 === 0 ? {} : headers[i % headers.length]! };
  });
  const [expected, answers] = [await bare.ask(asks), await tracked.ask(asks)];
  expect(new Set(expected.map(({ status }) => status))).toEqual(new Set([200]));
  expectSame(expected, answers);
  expectSameOrder(expected, answers);
  const { status } = await tracked.command('flush');
  expect(status).toMatchObject({
    captured: asks.length,
    dropped: { journal: 0, capture: 0 },
    storages: [{ ok: true, committed: asks.length, rejected: 0, lag: { records: 0 } }],
    lastError: null,
  });
  await Promise.all([bare.end(), tracked.end()]);
});

/** Sends `message` on a new connection, and returns everything received until it closes. */
function sendRaw({ port }: SideBySideApp, message: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      received += text;
    });
    // A server that closes on garbage may reset the connection while more of it comes.
    socket.on('error', () => {});
    socket.on('close', () => resolve(received));
    socket.on('end', () => socket.destroy());
    socket.end(message, 'latin1');
  });
}

test(`garbage: ${GARBAGE.length} malformed requests`, async () => {
  const { bare, tracked } = await startBoth('fine');
  const asks = Array.from({ length: 1_000 }, (_, i) => ({ path: `/${i}` }));
  const all = (app: SideBySideApp) => Promise.all([app.ask(asks), garbage(app)]);
  const garbage = async (app: SideBySideApp) => {
    const heard: string[] = [];
    let next = 0;
    const client = async () => {
      for (let i = next++; i < GARBAGE.length; i = next++) {
        const message = GARBAGE[i]!;
        const received = await sendRaw(app, message);
        // The reset after oversized input may arrive before the response.
        if (message.length > 128 * 1024 && !received.startsWith('HTTP/1.1 200')) heard[i] = 'refused';
        else heard[i] = received.replace(/^(?:Date|set-cookie): .*\r\n/gim, '');
      }
    };
    await Promise.all(Array.from({ length: 8 }, client));
    return heard;
  };
  const [expected, noise] = await all(bare);
  const [answers, heard] = await all(tracked);
  expectSame(expected, answers);
  expectSameOrder(expected, answers);
  expect(heard).toEqual(noise);
  // Both kinds occur.
  expect(noise.filter((text) => text.startsWith('HTTP/1.1 400')).length).toBeGreaterThan(50);
  expect(noise.filter((text) => text.startsWith('HTTP/1.1 200')).length).toBeGreaterThan(10);
  const { status, handled } = await tracked.command('flush');
  expect(handled).toBe((await bare.command('status')).handled);
  // Node refuses a request without Host, or with another Expect, with a response; invalid input with raw bytes.
  const byNode = noise.filter((text) => /^HTTP\/1\.1 4.*^Transfer-Encoding: /ms.test(text)).length;
  expect(byNode).toBeGreaterThan(0);
  // Each request has a record, whether or not its client waited for the response.
  const captured = handled + byNode;
  expect(status).toMatchObject({
    captured,
    dropped: { journal: 0, capture: 0 },
    storages: [{ ok: true, committed: captured, rejected: 0, lag: { records: 0 } }],
    // The garbage includes addresses of a trusted proxy.
    lastError: { code: 'ADDRESS_UNREADABLE' },
  });
  await Promise.all([bare.end(), tracked.end()]);
});
