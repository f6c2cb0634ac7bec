/** A million invented visitors, side by side with the same app without tracking. */
import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { expectSame, expectSameOrder, type SideBySideApp, startBoth } from './side-by-side.ts';

const MB = 1024 * 1024;

describe('1,000,000 forged cookies', () => {
  const COOKIES = 1_000_000;
  const WARM_UP = 100_000;
  const BATCH = 500;
  const END = '\r\n\r\nhello /';

  /** A visitor ID that was never issued, one with an invalid signature, and random text. */
  function forged(n: number): string {
    const id = (n * 2_654_435_761).toString(16).padStart(32, '0');
    if (n % 3 === 0) return id;
    if (n % 3 === 1) return `${id}.${'A'.repeat(33)}${n.toString().padStart(10, '0')}`;
    return `%${n}";=\\${id}`;
  }

  /** Sends cookies on one connection, many requests at a time, and counts the correct responses. */
  async function send({ port }: SideBySideApp, from: number, to: number) {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    let good = 0;
    let issued = 0;
    let rest = '';
    for (let n = from; n < to; n += BATCH) {
      let text = '';
      for (let i = n; i < n + BATCH; i++) {
        text += `GET / HTTP/1.1\r\nHost: localhost\r\nCookie: track_usage=${forged(i)}\r\n\r\n`;
      }
      socket.write(text);
      for (let bodies = 0; bodies < BATCH; ) {
        const [chunk] = (await once(socket, 'data')) as [Buffer];
        const received = rest + chunk.toString('latin1');
        // Complete responses only; the rest is parsed again later.
        const end = received.lastIndexOf(END) + END.length;
        const whole = end < END.length ? '' : received.slice(0, end);
        rest = received.slice(whole.length);
        bodies += count(whole, END);
        good += count(whole, 'HTTP/1.1 200 OK\r\n');
        issued += count(whole, 'set-cookie: track_usage=');
      }
    }
    socket.destroy();
    return { good, issued };
  }

  test('neither fill the memory nor prevent responses', { timeout: 180_000 }, async () => {
    const { bare, tracked } = await startBoth('signed cookies');
    expect(await send(tracked, 0, WARM_UP)).toEqual({ good: WARM_UP, issued: WARM_UP });
    const before = await tracked.command('collect');
    // None is accepted, so each visitor gets a new one.
    const sent = await send(tracked, WARM_UP, COOKIES);
    expect(sent).toEqual({ good: COOKIES - WARM_UP, issued: COOKIES - WARM_UP });
    const after = await tracked.command('collect');
    expect(after.heap - before.heap).toBeLessThan(20 * MB);
    // Includes the writer thread with its batches.
    expect(after.rss - before.rss).toBeLessThan(200 * MB);
    const { captured, dropped, journal, storages, lastError } = after.status!;
    const { committed, lag, ok, lost, rejected } = storages[0]!;
    expect({ captured, dropped, state: journal.state, lastError, ok, lost, rejected }).toEqual({
      captured: COOKIES,
      dropped: { journal: 0, capture: 0 },
      state: 'file',
      lastError: null,
      ok: true,
      lost: 0,
      rejected: 0,
    });
    expect(committed).toBeGreaterThan(0);
    expect(committed + lag.records).toBe(COOKIES);

    // Other visitors get normal responses meanwhile.
    const asks = Array.from({ length: 400 }, (_, i) => ({
      path: '/',
      headers: { cookie: `track_usage=${forged(COOKIES + i)}` },
    }));
    const [expected, answers] = [await bare.ask(asks), await tracked.ask(asks)];
    expectSame(expected, answers);
    expectSameOrder(expected, answers);
    await Promise.all([bare.end(), tracked.end()]);
  });
});

function count(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found += 1;
  return found;
}
