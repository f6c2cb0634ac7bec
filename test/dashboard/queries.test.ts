import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { load } from '../../dashboard/src/api/batch.ts';
import { ApiError } from '../../dashboard/src/api/client.ts';
import { Outage } from '../../dashboard/src/api/outage.ts';

const never = new AbortController().signal;
const fetched = vi.fn<(path: string, init: RequestInit) => Promise<Response>>();

beforeEach(() => void vi.stubGlobal('fetch', fetched));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  fetched.mockReset();
});

const lines = (...texts: string[]) => new Response(texts.join(''));
const line = (index: number, status: number, body: object) => `${JSON.stringify({ index, status, body })}\n`;

describe('queries of the same moment', () => {
  test('are one request, with their common parameters once', async () => {
    fetched.mockResolvedValue(lines(line(1, 200, { b: 1 }), line(0, 200, { a: 1 })));
    const results = Promise.all([
      load('totals?range=7d&filter=geo%3ADE&compare=true', never),
      load('summaries/urls?range=7d&filter=geo%3ADE&limit=8', never),
    ]);
    expect(await results).toEqual([{ a: 1 }, { b: 1 }]);
    expect(fetched.mock.calls.map(([path]) => decodeURIComponent(path))).toEqual([
      'api/v1/batch?range=7d&filter=geo:DE&query=totals?compare=true&query=summaries/urls?limit=8',
    ]);
  });

  test('with other common parameters, or alone, are requests of their own', async () => {
    fetched.mockImplementation(async () => Response.json({}));
    await Promise.all([load('totals?range=7d', never), load('totals?range=30d', never)]);
    expect(fetched.mock.calls.map(([path]) => path)).toEqual([
      'api/v1/totals?range=7d',
      'api/v1/totals?range=30d',
    ]);
  });

  test('are settled one by one, each with its own error', async () => {
    let push: ((text: string) => void) | undefined;
    let end: (() => void) | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (text) => controller.enqueue(new TextEncoder().encode(text));
        end = () => controller.close();
      },
    });
    fetched.mockResolvedValue(new Response(body));
    const [one, other, lost] = ['totals', 'series', 'records'].map((path) => load(`${path}?range=7d`, never));
    const failed = expect(other).rejects.toMatchObject({ message: 'no', status: 400, code: 'QUERY_INVALID' });
    const ended = expect(lost).rejects.toMatchObject({ isTemporary: true });
    // A piece may end anywhere in a line.
    const text = line(0, 200, { a: 'ä' });
    push!(text.slice(0, 20));
    push!(text.slice(20));
    expect(await one).toEqual({ a: 'ä' });
    push!(line(1, 400, { detail: 'no', code: 'QUERY_INVALID' }));
    await failed;
    end!();
    await ended;
  });

  test('are aborted together, once nobody waits for any of them', async () => {
    fetched.mockImplementation(
      (_, { signal }) =>
        new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason))),
    );
    const [one, other] = [new AbortController(), new AbortController()];
    const results = Promise.allSettled([
      load('totals?range=7d', one.signal),
      load('series?range=7d', other.signal),
    ]);
    await vi.waitFor(() => expect(fetched).toHaveBeenCalledTimes(1));
    const { signal } = fetched.mock.calls[0]![1];
    one.abort();
    expect(signal!.aborted).toBe(false);
    other.abort();
    expect(signal!.aborted).toBe(true);
    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  test.each([
    [500, false],
    [502, true],
    [504, true],
  ])('fail together with status %d', async (status, isTemporary) => {
    fetched.mockImplementation(async () => new Response('<html>', { status }));
    const results = [load('totals?range=7d', never), load('series?range=7d', never)];
    for (const result of results) await expect(result).rejects.toMatchObject({ status, isTemporary });
  });
});

describe('an outage', () => {
  const [totals, panel] = [{}, {}];
  const unreachable = new ApiError('The server cannot be reached.');

  test('is over when each of its queries has succeeded, and is retried with growing pauses', () => {
    vi.useFakeTimers();
    const outage = new Outage();
    const changes = vi.fn();
    outage.subscribe(changes);
    expect(outage.failed(totals, unreachable)).toBe(true);
    expect(outage.failed(panel, unreachable)).toBe(true);
    expect(outage.error).toBe(unreachable);
    const retriesAfter = [2_000, 4_000, 8_000, 16_000, 30_000, 30_000].map((pause) => {
      vi.advanceTimersByTime(pause - 1);
      const before = outage.retries;
      vi.advanceTimersByTime(1);
      return [before, outage.retries];
    });
    expect(retriesAfter).toEqual([0, 1, 2, 3, 4, 5].map((count) => [count, count + 1]));
    outage.succeeded(totals);
    expect(outage.error).toBe(unreachable);
    outage.succeeded(panel);
    expect([outage.error, outage.succeededAt]).toEqual([undefined, Date.now()]);
    expect(vi.getTimerCount()).toBe(0);
    expect(changes).toHaveBeenCalled();
    // The next outage begins with a short pause.
    outage.failed(totals, unreachable);
    vi.advanceTimersByTime(2_000);
    expect(outage.retries).toBe(7);
  });

  test('ends for a query that is no longer of interest', () => {
    vi.useFakeTimers();
    const outage = new Outage();
    outage.failed(panel, unreachable);
    outage.settled(panel);
    expect([outage.error, vi.getTimerCount()]).toEqual([undefined, 0]);
    outage.retry();
    expect(outage.retries).toBe(0);
  });

  test.each([
    [503, 'STORAGE_SILENT', true],
    [503, 'QUERY_BUSY', true],
    [503, 'QUERY_SLOW', false],
    [500, 'HANDLER_FAILED', false],
    [422, 'QUERY_TOO_LARGE', false],
    [400, 'QUERY_INVALID', false],
    [401, 'AUTH_REQUIRED', false],
  ])('does not include other errors: %d %s', (status, code, isRetried) => {
    vi.useFakeTimers();
    const outage = new Outage();
    expect(outage.failed(panel, new ApiError('', status, code))).toBe(isRetried);
    expect(outage.error !== undefined).toBe(isRetried);
    expect(outage.signedOut !== undefined).toBe(code === 'AUTH_REQUIRED');
  });
});
