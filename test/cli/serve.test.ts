import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, temporaryDirectory, track } from './support.ts';

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url));
const TOKEN = 'a-token-of-22-letters!';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  await using app = await track(directory.path);
  await app.visit({ at: '2026-11-02T10:00:00Z', path: '/one' }, { at: '2026-11-02T10:00:00Z', path: '/two' });
});
afterAll(() => directory[Symbol.asyncDispose]());

/** Starts the command, and waits for the link to the dashboard. */
async function serve(argv: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [BIN, 'serve', '--storage', 'usage.db', '--port', '0', ...argv], {
    cwd: directory.path,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const err = text(child.stderr);
  const closed = once(child, 'close');
  const end = async () => {
    child.kill('SIGTERM');
    const [code] = await closed;
    return { code, err: await err };
  };
  const [output] = (await Promise.race([
    once(child.stdout, 'data'),
    closed.then(async () => [await err]),
  ])) as [Buffer | string];
  const link = /^Dashboard: (\S+)\n$/.exec(String(output))?.[1] ?? String(output);
  return { link, end, [Symbol.asyncDispose]: async () => void (await end()) };
}

const totals = (link: string, headers: Record<string, string> = {}) =>
  fetch(new URL('api/v1/totals?from=2026-11-02&to=2026-11-02', link.replace(/\?.*/, '')), { headers });

test('prints a link that works once, and exits on a signal', async () => {
  await using served = await serve([]);
  const { link } = served;
  expect(link).toMatch(/^http:\/\/localhost:\d+\/usage\/\?token=[\w-]{32}$/);
  expect((await totals(link)).status).toBe(401);
  const first = await fetch(link, { redirect: 'manual' });
  const cookie = first.headers.get('set-cookie')!.split(';')[0]!;
  expect([first.status, first.headers.get('location')]).toEqual([303, '/usage/']);
  expect(await (await totals(link, { cookie })).json()).toMatchObject({ totals: { hits: 2 } });
  expect((await fetch(link, { redirect: 'manual' })).status).toBe(401);
  // A browser is redirected to the page, which says that the link is invalid.
  const again = await fetch(link, { redirect: 'manual', headers: { accept: 'text/html' } });
  expect([again.status, again.headers.get('location')]).toEqual([303, '/usage/?link=wrong']);
  const home = await fetch(new URL('/', link), { redirect: 'manual' });
  expect([home.status, home.headers.get('location')]).toEqual([302, '/usage/']);
  expect(await served.end()).toEqual({ code: 0, err: 'The link works once. Press Ctrl-C to stop.\n' });
});

test('allows queries with the token of the environment', async () => {
  await using served = await serve(['--host', '0.0.0.0'], { TRACK_USAGE_TOKEN: TOKEN });
  expect(served.link).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/usage\/$/);
  const link = served.link.replace('0.0.0.0', '127.0.0.1');
  expect((await totals(link)).status).toBe(401);
  const response = await totals(link, { authorization: `Bearer ${TOKEN}` });
  expect(await response.json()).toMatchObject({ totals: { hits: 2 } });
});

test('allows everyone with --public', async () => {
  await using served = await serve(['--public']);
  expect(await (await totals(served.link)).json()).toMatchObject({ totals: { hits: 2 } });
});

test.each([
  [['--host', '0.0.0.0'], 2, /--host" is "0\.0\.0\.0"; expected a loopback address, unless a token/],
  [['--host', '192.0.2.1'], 2, /--host/],
  [
    ['--token', 'short'],
    2,
    /option "--token" is a string of 5 characters; expected 16 or more ASCII characters/,
  ],
  [['--port', '65536'], 2, /argument '65536' is invalid\. Expected a number from 0 to 65535\./],
  [['--public', '--token', TOKEN], 2, /option "--public" is true; expected no token with it/],
  [['--port', '65536'], 2, /0 to 65535/],
  [['--storage', 'missing.db'], 1, /no database found at/],
  [
    ['--public', '--host', '192.0.2.1', '--port', '0'],
    1,
    /^track-usage: cannot listen on 192\.0\.2\.1, port 0: address not available \(EADDRNOTAVAIL\)\n$/,
  ],
] as const)('refuses %j', async (argv, code, message) => {
  const outcome = await run(['serve', '--storage', `${directory.path}/usage.db`, ...argv]);
  expect(outcome).toEqual({ code, out: '', err: expect.stringMatching(message) });
});
