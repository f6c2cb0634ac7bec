/** Reports about requests are true: each problem, with what became of the request. */
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { type ErrorCode, TrackUsageError } from '../../src/errors.ts';
import { defineSummary, TrackUsage, type TrackUsageOptions, type UsageRecord } from '../../src/index.ts';
import { requireRuntime } from '../../src/platform/runtime.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { temporaryDirectory } from '../journal/support.ts';

interface Problem {
  code: ErrorCode;
  message: RegExp;
  options?: TrackUsageOptions;
  storage?: NonNullable<ConstructorParameters<typeof MemoryStorage>[0]>;
  handler?: (usage: TrackUsage, request: IncomingMessage) => void;
  /** Expected fields of the record; without them, the request is counted as dropped. */
  record?: Partial<UsageRecord>;
  /** Hits of the summary `own`, by key. */
  own?: Record<string, number>;
}

const fails = () => {
  throw new Error('not today');
};
const own = (key: () => string | string[]) => defineSummary({ name: 'own', key });

const PROBLEMS: Record<string, Problem> = {
  'a username that throws': {
    code: 'HOOK_FAILED',
    message: /^the option username failed: not today; fix it; the request is recorded without a user name\.$/,
    options: { username: fails },
    record: { username: null },
  },
  'cookie.when that throws': {
    code: 'HOOK_FAILED',
    message:
      /^the option cookie\.when failed: not today; fix it; the request is recorded without a visitor\.$/,
    options: { cookie: { when: fails } },
    record: { visitor: null },
  },
  'trust that throws': {
    code: 'HOOK_FAILED',
    message: /^the trust proxy setting failed: not today; fix it; no proxy is trusted for this request\.$/,
    options: { trustProxy: fails },
    record: { remoteAddr: '127.0.0.1', forwardedFor: '203.0.113.7' },
  },
  'a key function that throws': {
    code: 'HOOK_FAILED',
    message:
      /^the key function of the summary "own" failed: not today; fix it; the request counts under null in/,
    storage: { hooks: [own(fails)] },
    record: { status: 200 },
    own: { null: 1 },
  },
  'keys that find no room': {
    code: 'SUMMARY_KEYS',
    message: /^the keys of a request in custom summaries were omitted: .*the request counts under null in/,
    storage: {
      hooks: Array.from({ length: 16 }, (_, i) =>
        defineSummary({
          name: i === 0 ? 'own' : `own-${i}`,
          key: () => Array.from({ length: 16 }, (_, n) => `${n}`.padEnd(200, 'x')),
        }),
      ),
    },
    record: { status: 200 },
    own: { null: 1 },
  },
  'a hook that throws': {
    code: 'HOOK_FAILED',
    message:
      /^the hook fails of memory.* failed: not today; fix it; the record is stored, and the hook is not called/,
    storage: { hooks: [fails] },
    record: { status: 200 },
  },
  'vars that JSON cannot hold': {
    code: 'VARS_LEFT_OUT',
    message: /^the vars of a request were omitted: .*circular.*the request is recorded without them\.$/is,
    handler(usage, request) {
      const vars = usage.vars(request);
      vars.self = vars;
    },
    record: { vars: null },
  },
  'vars of a request that takes none': {
    code: 'VARS_LEFT_OUT',
    message: /^the vars of a request were omitted: .*not extensible.*the request is recorded without them\.$/,
    handler(usage, request) {
      usage.vars(Object.freeze(Object.create(request, { rawHeaders: { value: [] } }))).plan = 'gold';
    },
    record: { vars: null },
  },
  'vars of what is no request': {
    code: 'VARS_REQUEST',
    message: /^usage\.vars\(\) was given {}, which is not a request; .*other vars are not recorded\.$/,
    handler: (usage) => void Object.assign(usage.vars({}), { plan: 'gold' }),
    record: { vars: null },
  },
  'a request that cannot be read': {
    code: 'CAPTURE_FAILED',
    message:
      /^a request could not be read: .*the response is not affected, and dropped\.capture of status\(\) counts/,
    handler: (_usage, request) => void Object.assign(request, { rawHeaders: undefined }),
  },
};

test.each(Object.keys(PROBLEMS))('%s', async (name) => {
  const { code, message, options, storage, handler, record, own } = PROBLEMS[name]!;
  const errors: TrackUsageError[] = [];
  const server = http.createServer((request, response) => {
    handler?.(usage, request);
    response.end('hello');
  });
  const usage = new TrackUsage(server, new MemoryStorage(storage), {
    geo: false,
    ...options,
    journal: { dir: temporaryDirectory() },
    onError: (error) => errors.push(error as TrackUsageError),
  });
  onTestFinished(async () => {
    server.close();
    await usage.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const headers = { 'x-forwarded-for': '203.0.113.7' };
  const request = http.get({ port, host: '127.0.0.1', agent: false, headers });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect(`${response.statusCode} ${await text(response)}`).toBe('200 hello');
  await usage.flush();
  const records = await usage.getUsage();
  const counts = record
    ? { journaled: 1, dropped: { capture: 0 } }
    : { journaled: 0, dropped: { capture: 1 } };
  expect(usage.status()).toMatchObject({ captured: 1, ...counts });
  expect(records).toMatchObject(record ? [record] : []);
  if (own) {
    const sums = await usage.getSum('own', { period: 'day' });
    expect(Object.fromEntries(sums.map(({ key, hits }) => [String(key), hits]))).toEqual(own);
  }
  await usage.close();
  expect(errors.map((error) => error.code)).toEqual([code]);
  expect(errors[0]!.message).toMatch(message);
});

test.each([
  [{ bun: '1.2.0', node: '24.0.0' }, 'RUNTIME_UNSUPPORTED', /this is bun 1\.2\.0; run the app on Node/],
  [{ deno: '2.0.0', node: '24.0.0' }, 'RUNTIME_UNSUPPORTED', /this is deno 2\.0\.0; run the app on Node/],
  [{ node: '22.12.9' }, 'NODE_TOO_OLD', /this is 22\.12\.9; upgrade Node/],
] as const)('%j', (versions, code, message) => {
  let thrown: unknown;
  try {
    requireRuntime(versions as never);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(TrackUsageError);
  expect(thrown).toMatchObject({ code, message: expect.stringMatching(message) });
});
