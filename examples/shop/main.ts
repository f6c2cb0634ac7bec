import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import { parseArgs } from 'node:util';
import express, { type Express } from 'express';
import { STANDARD_SUMMARIES, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';
import { addShop } from './shop.ts';
import { showLive } from './table.ts';
import { visit } from './visitors.ts';

const DATABASE = 'usage.db';
const HELP = `An example shop whose usage is counted, and shown here while it runs and on a dashboard.

  npm start                   the shop on http://localhost:3000
  npm start -- --visitors     and visitors who look around in it
  npm start -- --port 8080    on another port

With TRACK_USAGE_TOKEN set, other machines may open the dashboard too, with that token.
The numbers are kept in ${DATABASE}; the next start goes on with them.
`;

async function main(): Promise<void> {
  const { port, visitors, help } = readArguments();
  if (help) {
    process.stdout.write(HELP);
    return;
  }

  let problem = '';
  const goesOn = existsSync(DATABASE);
  const app = express();
  const usage = new TrackUsage(app, [new SqliteStorage(DATABASE, { hooks: STANDARD_SUMMARIES })], {
    cookie: true,
    onError: (error) => {
      problem = error.message;
    },
  });

  // Without a token, access to the dashboard is limited to localhost.
  const token = process.env.TRACK_USAGE_TOKEN;
  const dashboard = usage.handler(token ? { token } : {});
  app.use(dashboard);
  addShop(app);

  let server: Server | undefined;
  try {
    server = await listen(app, port);
    await usage.ready();
  } catch (error) {
    server?.close();
    await usage.close();
    throw error;
  }

  const origin = `http://localhost:${port}`;
  process.stdout.write(
    `The shop is open: ${origin}${goesOn ? `, going on with ${DATABASE}` : ''}\n` +
      `Dashboard${token ? '' : ' (one-time link)'}: ${dashboard.link(origin)}\n` +
      `${visitors ? 'Visitors are looking around.' : 'For visitors, start it with: npm start -- --visitors'}` +
      ' Ctrl-C ends it.\n\n',
  );
  const stopTable = showLive(usage, origin, () => problem);
  const leaving = new AbortController();
  const visiting = visitors ? visit(origin, leaving.signal) : undefined;

  await interrupted();
  stopTable();
  leaving.abort();
  await visiting;
  server.close();
  server.closeAllConnections();
  await usage.close();
  process.stdout.write(`
Everything is in ${DATABASE}. Ask it (in your own app: npx track-usage …):

  npx node dist/cli/bin.js sum urls --storage sqlite:${DATABASE} --period day
  npx node dist/cli/bin.js usage --storage sqlite:${DATABASE} --limit 10
  sqlite3 ${DATABASE} 'SELECT key, hits FROM usage_geo_daily LIMIT 10'
`);
}

function readArguments(): { port: number; visitors: boolean; help: boolean } {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '3000' },
      visitors: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port < 1 || port > 65_535) {
    throw new Error(`--port is ${values.port}, expected a number from 1 to 65535`);
  }
  return { ...values, port };
}

function listen(app: Express, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = app.listen(port, (error?: Error) => {
      if (error === undefined) resolve(server);
      else if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') reject(error);
      else reject(new Error(`port ${port} is in use; choose another: npm start -- --port ${port + 1}`));
    });
  });
}

/** Waits for Ctrl-C. A second one ends the process immediately, without losing records. */
function interrupted(): Promise<unknown> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
