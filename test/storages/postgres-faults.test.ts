import { onTestFinished, test } from 'vitest';
import { npmPostgres, postgresServer } from '../support/servers/postgres.ts';
import { faultRounds } from './fault-rounds.ts';

test('ten rounds of lost connections, and of SIGKILL on the server and the app: hits = responses received', {
  timeout: 240_000,
}, async () => {
  const { server, url, close } = await postgresServer(npmPostgres());
  onTestFinished(close);
  // A server of somebody else's is not ours to kill; the suite runs against it.
  if (server) await faultRounds(server, url);
});
