import { onTestFinished, test } from 'vitest';
import { hasMysql, mysqlServer } from '../support/servers/mysql.ts';
import { faultRounds } from './fault-rounds.ts';

test.skipIf(!hasMysql)(
  'ten rounds of lost connections, and of SIGKILL on the server and the app: hits = responses received',
  { timeout: 300_000 },
  async () => {
    // As it is installed: every commit waits for the disk.
    const { server, url, close } = await mysqlServer([]);
    onTestFinished(close);
    // A server of somebody else's is not ours to kill; the suite runs against it.
    if (server) await faultRounds(server, (port) => url('usage', port));
  },
);
