import { onTestFinished, test } from 'vitest';
import { clickhouseServer } from '../support/servers/clickhouse.ts';
import { faultRounds } from './fault-rounds.ts';

test('stores each response once in 10 rounds of lost connections and SIGKILL on the server and the app', {
  timeout: 180_000,
}, async () => {
  const clickhouse = await clickhouseServer();
  onTestFinished(() => clickhouse.close());
  await faultRounds(clickhouse.server!, (port) => clickhouse.url('usage', port));
});
