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

// Nest ends the process otherwise when it cannot start.
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

/** An app of Nest that imports what is given. */
function root(...imports: object[]): new () => object {
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

async function ask(app: INestApplication, ...paths: string[]): Promise<string[]> {
  await app.listen(0, HOST);
  const { port } = app.getHttpServer().address() as AddressInfo;
  const client = http1Client({ host: HOST, port, secure: false });
  const answers = [];
  for (const path of paths) answers.push((await client.ask({ path })).body.toString());
  client.close();
  return answers;
}

describe.each([
  ['Express', (module: never) => NestFactory.create(module, SILENT)],
  ['Fastify', (module: never) => NestFactory.create(module, new FastifyAdapter(), SILENT)],
] as const)('the module of NestJS on %s', (_, create) => {
  test('tracks the app that imports it, is given to others, and closes what it made', async () => {
    const app = await create(root(TrackUsageModule.forRoot(options())) as never);
    app.setGlobalPrefix('v1');
    expect(await ask(app, '/v1/api/users/7', '/nowhere', '/v1/api/captured')).toEqual([
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

  test('with options from other providers', async () => {
    class Settings {}
    Module({ providers: [{ provide: 'SITE', useValue: 'shop' }], exports: ['SITE'] })(Settings);
    const app = await create(
      root(
        TrackUsageModule.forRootAsync({
          imports: [Settings],
          inject: ['SITE'],
          useFactory: async (site: string) => ({ ...options(), site }),
        }),
      ) as never,
    );
    await ask(app, '/api/users/7');
    const usage = app.get(TrackUsage);
    await usage.flush();
    expect(await usage.getUsage()).toMatchObject([{ site: 'shop', route: '/api/users/:id' }]);
    await app.close();
  });

  test("with the app's own TrackUsage, which stays open", async () => {
    const recorder = await Recorder.create();
    const app = await create(root(TrackUsageModule.forRoot({ usage: recorder.usage })) as never);
    expect(app.get(TrackUsage)).toBe(recorder.usage);
    await ask(app, '/api/users/7');
    await app.close();
    expect(await recorder.one()).toMatchObject({ route: '/api/users/:id', status: 200 });
    await recorder.close();
  });

  test('wrong options end the start', async () => {
    const module = root(TrackUsageModule.forRoot({ storages: [], colour: 'red' } as never));
    await expect(create(module as never)).rejects.toMatchObject({ code: 'OPTION_UNKNOWN' });
  });
});

test('without HTTP there is nothing to track', async () => {
  const context = await NestFactory.createApplicationContext(root(TrackUsageModule.forRoot(options())), {
    logger: false,
  });
  expect(context.get(TrackUsage).status().captured).toBe(0);
  await context.close();
});
