import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
// Not by name: an old Node has no such export, and could not print that it is too old.
import util from 'node:util';
import { type Command, InvalidArgumentError } from 'commander';
import { show, TrackUsageError } from '../../errors.ts';
import { verify } from '../../maintenance/verify.ts';
import { version } from '../../platform/version.ts';
import { isLocalName } from '../../server/access.ts';
import { createHandler } from '../../server/handler.ts';
import { checkToken } from '../../server/options.ts';
import { storageAt } from '../../storages/by-url.ts';
import type { Io } from '../io.ts';
import { named } from '../storage.ts';
import { addStorageOption } from './options.ts';

interface Options {
  storage: string;
  site?: string;
  port: number;
  host: string;
  token?: string;
  public?: true;
}

const EXAMPLES = `
Examples:
  track-usage serve --storage sqlite:usage.db
  track-usage serve --storage postgres://user@host/app --port 8080
  TRACK_USAGE_TOKEN=… track-usage serve --storage usage.db --host 0.0.0.0

Without a token, access is limited to this machine, through a one-time link
printed at start. Other machines need a token, or --public. Stop it with Ctrl-C.`;

export function addServeCommand(program: Command, io: Io): void {
  const command = program
    .command('serve')
    .summary('serves the dashboard of a storage, without the app')
    .description('Serves the dashboard and the HTTP API of a storage on a separate port.');
  addStorageOption(command)
    .option('--site <site>', 'site name, as in the app (default: "default")')
    .option('--port <port>', 'port; 0 for any free port', portNumber, 3001)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--token <token>',
      'token to sign in with, 16 characters or more (default: the environment variable TRACK_USAGE_TOKEN, which other users of the machine cannot read)',
    )
    .option('--public', 'allow access without a token')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => serve(options, io));
}

async function serve(options: Options, io: Io): Promise<void> {
  const { site, host, port } = options;
  const token = options.token ?? (io.env.TRACK_USAGE_TOKEN || undefined);
  if (token === undefined && !options.public && !isLocalName(host)) {
    const expected = 'a loopback address, unless a token (TRACK_USAGE_TOKEN) or --public is given';
    throw new TrackUsageError('OPTION_INVALID', { name: '--host', value: show(host), expected });
  }
  if (token !== undefined && options.public) {
    const expected = 'no token with it (--token or TRACK_USAGE_TOKEN)';
    throw new TrackUsageError('OPTION_INVALID', { name: '--public', value: 'true', expected });
  }
  if (token !== undefined) checkToken(options.token === undefined ? 'TRACK_USAGE_TOKEN' : '--token', token);
  const { label, open } = storageAt(options.storage);
  const storage = await open();
  try {
    const query = storage.query;
    // A missing database is an error here, not an app that has not started yet.
    await named(label, () => storage.reader.timeZone(site ?? 'default'));
    const handler = createHandler(
      {
        query: site === undefined ? query : query.of(site),
        site: site ?? 'default',
        status: () => null,
        verify: (of, date) => verify({ storage, site: of, from: date, to: date }),
        version: version(),
      },
      { ...(token !== undefined && { token }), ...(options.public && { public: true }) },
    );
    const server = createServer((request, response) => {
      if (handler(request, response)) return;
      response.writeHead(request.url === '/' ? 302 : 404, { location: `${handler.path}/` }).end();
    });
    await listen(server, port, host);
    const { address, family, port: found } = server.address() as AddressInfo;
    const isLocal = ['127.0.0.1', '::1'].includes(address);
    const name = isLocal ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
    const link = handler.link(`http://${name}:${found}`);
    await io.stdout(`Dashboard: ${link}\n`);
    await io.stderr(`${link.includes('?token=') ? 'The link works once. ' : ''}Press Ctrl-C to stop.\n`);
    await interrupted();
    server.close();
    server.closeAllConnections();
  } finally {
    await storage.close();
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          error.code === 'EADDRINUSE'
            ? `port ${port} is in use; choose another one with --port, or any free one with --port 0`
            : `cannot listen on ${host}, port ${port}: ${util.getSystemErrorMessage(error.errno!)} (${error.code})`,
          { cause: error },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
}

function interrupted(): Promise<unknown> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('Expected a number from 0 to 65535.');
  return port;
}
