import { mkdtemp, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { defineSummary, TrackUsage } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';

test('a constructor that throws leaves no thread, no journal and no listener', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'track-usage-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const started = fastify();
  await started.ready();
  const twice = ['a', 'b'].map(
    (name) =>
      new SqliteStorage(join(directory, `${name}.db`), {
        hooks: [defineSummary({ name: 'same', key: () => 'x' })],
      }),
  );
  const storage = new SqliteStorage(join(directory, 'usage.db'));
  const attempts: [string, TrackedApp, ConstructorParameters<typeof TrackUsage>[1]][] = [
    ['APP_STARTED', started as unknown as TrackedApp, storage],
    ['APP_UNKNOWN', {} as TrackedApp, storage],
    ['SUMMARY_TAKEN', express() as unknown as TrackedApp, twice],
  ];
  const listeners = process.listenerCount('exit');
  const journals = join(directory, 'journals');
  for (const [code, app, storages] of attempts) {
    const create = () => new TrackUsage(app, storages, { geo: false, journal: { dir: journals } });
    expect(create).toThrow(expect.objectContaining({ code }));
  }
  expect(process.listenerCount('exit')).toBe(listeners);
  // A thread would have opened the database, and a journal would be locked.
  const left = await readdir(journals, { recursive: true }).catch(() => []);
  expect(left.filter((name) => name.includes('/'))).toEqual([]);

  const server = http.createServer();
  const usage = new TrackUsage(server, storage, { geo: false, journal: { dir: journals } });
  await usage.ready();
  await usage.close();
});
