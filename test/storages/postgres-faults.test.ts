import { onTestFinished, test } from 'vitest';
import { npmPostgres, postgresServer } from '../support/servers/postgres.ts';
import { faultRounds } from './fault-rounds.ts';

test('stores each response once in 10 rounds of lost connections and SIGKILL on the server and the app', {
  timeout: 240_000,
}, async () => {
  const { server, url, close } = await postgresServer(npmPostgres());
  onTestFinished(close);
  // An external server cannot be killed; only the conformance suite runs against it.
  if (server) await faultRounds(server, url);
});
