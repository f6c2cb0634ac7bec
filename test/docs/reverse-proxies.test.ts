/** The nginx configuration of the page about reverse proxies, in a real nginx in front of two servers. */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { ServerProcess } from '../support/servers/process.ts';
import { isWanted, programOf } from '../support/services.ts';
import { read } from './documentation.ts';

const TOKEN = 'a-long-random-token';

describe.runIf(isWanted('nginx'))('the nginx configuration', () => {
  test('forwards the client, distributes requests, and passes live updates on', async () => {
    const usages: TrackUsage[] = [];
    const ports: number[] = [];
    const servers: Server[] = [];
    for (const name of ['first', 'second']) {
      const app = express();
      // Trusts nginx, but not the address that its client uses.
      app.set('trust proxy', '127.0.0.1');
      const usage = new TrackUsage(app, new MemoryStorage(), { serverName: name });
      app.use(usage.handler({ token: TOKEN }));
      app.get('/shop', (_request, response) => response.send(name));
      const server = createServer(app).listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports.push((server.address() as AddressInfo).port);
      servers.push(server);
      usages.push(usage);
      onTestFinished(async () => {
        server.closeAllConnections();
        server.close();
        await usage.close();
      });
    }
    const nginx = await startNginx(ports);
    onTestFinished(() => nginx.stop());

    const names = [];
    for (let i = 0; i < 4; i++) names.push(await text(await get(nginx.port, '/shop?page=2')));
    expect(names.sort()).toEqual(['first', 'first', 'second', 'second']);

    const live = await get(nginx.port, '/usage/api/v1/live');
    expect(live.statusCode).toBe(200);
    let events = '';
    for await (const chunk of live) {
      events += chunk;
      if (events.includes('event: usage')) break;
    }
    expect(events).toContain('event: usage');

    for (const usage of usages) {
      await usage.flush();
      const records = await usage.getUsage({ limit: 0 });
      expect(records.map(({ url, remoteAddr }) => ({ url, remoteAddr }))).toEqual([
        { url: 'http://shop.example/shop?page=2', remoteAddr: '127.0.0.2' },
        { url: 'http://shop.example/shop?page=2', remoteAddr: '127.0.0.2' },
      ]);
    }

    // A rolling restart: with nginx's defaults, the server that was restarted first would still be avoided.
    const [first, second] = servers as [Server, Server];
    await stop(first);
    for (let i = 0; i < 2; i++) expect(await text(await get(nginx.port, '/shop'))).toBe('second');
    await once(first.listen(ports[0], '127.0.0.1'), 'listening');
    await stop(second);
    for (let i = 0; i < 2; i++) expect(await text(await get(nginx.port, '/shop'))).toBe('first');
  });
});

/** Starts nginx with the configuration of the page, in which only the ports differ. */
async function startNginx(ports: readonly number[]): Promise<ServerProcess> {
  const [, page = ''] = /^```nginx\n(.*?)^```$/ms.exec(read('docs/guides/reverse-proxies.md')) ?? [];
  const directory = mkdtempSync(join(tmpdir(), 'track-usage-nginx-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  // Its user may differ from ours.
  for (const path of [directory, join(directory, 'temp')]) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o777);
  }
  const config = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(directory, 'temp', name)};`)
    .join('\n');
  return await ServerProcess.start((port) => {
    const [first = 0, second = 0] = ports;
    const site = page
      .replace('listen 80;', `listen 127.0.0.1:${port};`)
      .replace('127.0.0.1:3000', `127.0.0.1:${first}`)
      .replace('127.0.0.1:3001', `127.0.0.1:${second}`);
    expect(site).toContain(`listen 127.0.0.1:${port};`);
    writeFileSync(
      config,
      `daemon off;\nmaster_process off;\npid ${join(directory, 'nginx.pid')};\nerror_log stderr notice;\n` +
        `events {}\nhttp {\naccess_log off;\n${temporary}\n${site}\n}\n`,
      { mode: 0o644 },
    );
    return {
      program: programOf('nginx')!,
      args: ['-e', 'stderr', '-c', config],
      ready: /event method/,
    };
  });
}

/** Sends a request for `shop.example` from another address than nginx has. */
async function get(port: number, path: string): Promise<IncomingMessage> {
  const headers = {
    host: 'shop.example',
    // Not trusted, because it comes from the client.
    'x-forwarded-for': '203.0.113.9',
    authorization: `Bearer ${TOKEN}`,
  };
  const request = httpRequest({ host: '127.0.0.1', localAddress: '127.0.0.2', port, path, headers }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function text(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let body = '';
  for await (const chunk of response) body += chunk;
  return body;
}
