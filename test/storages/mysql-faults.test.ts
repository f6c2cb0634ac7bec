import { onTestFinished, test } from 'vitest';
import { hasMysql, mysqlServer } from '../support/servers/mysql.ts';
import { faultRounds } from './fault-rounds.ts';

test.skipIf(!hasMysql)(
  'stores each response once in 10 rounds of lost connections and SIGKILL on the server and the app',
  { timeout: 300_000 },
  async () => {
    // Default configuration: every commit waits for the disk.
    const { server, url, close } = await mysqlServer([]);
    onTestFinished(close);
    // An external server cannot be killed; only the conformance suite runs against it.
    if (server) await faultRounds(server, (port) => url('usage', port));
  },
);
