import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, type INestApplication, Inject, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sumRoutes, TrackUsage } from '../../src/index.ts';
import { TrackUsageModule } from '../../src/integrations/nest.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { http1Client } from '../support/client.ts';
import { Recorder } from '../support/recorder.ts';

// By default, Nest exits the process if it cannot start.
const SILENT = { logger: false, abortOnError: false } as const;
const HOST = '127.0.0.1';

class Users {
  readonly usage: TrackUsage;
  constructor(usage: TrackUsage) {
    this.usage = usage;
  }
  user(id: string) {
    return `user ${id}`;
  }
  async captured() {
    return String(this.usage.status().captured);
  }
}
Get('users/:id')(Users.prototype, 'user', Object.getOwnPropertyDescriptor(Users.prototype, 'user')!);
Get('captured')(Users.prototype, 'captured', Object.getOwnPropertyDescriptor(Users.prototype, 'captured')!);
Param('id')(Users.prototype, 'user', 0);
Inject(TrackUsage)(Users, undefined, 0);
Controller('api')(Users);

/** Creates the root module of a Nest app with the given imports. */
function createModule(...imports: object[]): new () => object {
  class Root {}
  Module({ imports: imports as never[], controllers: [Users] })(Root);
  return Root;
}

let directory: string;
const options = () => ({
  storages: new SqliteStorage(join(directory, 'usage.db'), { hooks: [sumRoutes] }),
  journal: { dir: directory },
  geo: false as const,
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'track-usage-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function requestAll(app: INestApplication, ...paths: string[]): Promise<string[]> {
  await app.listen(0, HOST);
  const { port } = app.getHttpServer().address() as AddressInfo;
  const client = http1Client({ host: HOST, port, secure: false });
  const bodies = [];
  for (const path of paths) bodies.push((await client.request({ path })).body.toString());
  client.close();
  return bodies;
}

describe.each([
  ['Express', (module: never) => NestFactory.create(module, SILENT)],
  ['Fastify', (module: never) => NestFactory.create(module, new FastifyAdapter(), SILENT)],
] as const)('the module of NestJS on %s', (_, create) => {
  test('tracks the app that imports it, provides its TrackUsage, and closes it', async () => {
    const app = await create(createModule(TrackUsageModule.forRoot(options())) as never);
    app.setGlobalPrefix('v1');
    expect(await requestAll(app, '/v1/api/users/7', '/nowhere', '/v1/api/captured')).toEqual([
      'user 7',
      expect.stringContaining('Cannot GET /nowhere'),
      '2',
    ]);
    const usage = app.get(TrackUsage);
    await app.close();
    expect(() => usage.openCapture()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    const { journal: _journal, ...rest } = options();
    const after = new TrackUsage(null, rest.storages, { journal: { dir: directory }, geo: false });
    const routes = await after.getSum(sumRoutes, { period: 'day' });
    expect(routes.map(({ key, hits }) => [key, hits])).toEqual([
      ['/v1/api/captured', 1],
      ['/v1/api/users/:id', 1],
      [null, 1],
    ]);
    await after.close();
  });

  test('accepts options from other providers', async () => {
    class Settings {}
    Module({ providers: [{ provide: 'SITE', useValue: 'shop' }], exports: ['SITE'] })(Settings);
    const app = await create(
      createModule(
        TrackUsageModule.forRootAsync({
          imports: [Settings],
          inject: ['SITE'],
          useFactory: async (site: string) => ({ ...options(), site }),
        }),
      ) as never,
    );
    await requestAll(app, '/api/users/7');
    const usage = app.get(TrackUsage);
    await usage.flush();
    expect(await usage.getUsage()).toMatchObject([{ site: 'shop', route: '/api/users/:id' }]);
    await app.close();
  });

  test("accepts the app's own TrackUsage, and does not close it", async () => {
    const recorder = await Recorder.create();
    const app = await create(createModule(TrackUsageModule.forRoot({ usage: recorder.usage })) as never);
    expect(app.get(TrackUsage)).toBe(recorder.usage);
    await requestAll(app, '/api/users/7');
    await app.close();
    expect(await recorder.takeOne()).toMatchObject({ route: '/api/users/:id', status: 200 });
    await recorder.close();
  });

  test('rejects invalid options at startup', async () => {
    const module = createModule(TrackUsageModule.forRoot({ storages: [], colour: 'red' } as never));
    await expect(create(module as never)).rejects.toMatchObject({ code: 'OPTION_UNKNOWN' });
  });
});

test('starts without an HTTP server', async () => {
  const context = await NestFactory.createApplicationContext(
    createModule(TrackUsageModule.forRoot(options())),
    {
      logger: false,
    },
  );
  expect(context.get(TrackUsage).status().captured).toBe(0);
  await context.close();
});
