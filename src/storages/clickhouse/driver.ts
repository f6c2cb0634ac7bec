import { loadDriver } from '../../storage/load-driver.ts';
import type { ClickhouseClient } from './client.ts';
import type { ClickhouseOptions } from './options.ts';

const DRIVER = '@clickhouse/client';
/** Request timeout. In ms. */
const REQUEST_TIMEOUT = 60_000;

/** Creates a client of the URL's server. It connects when it is used. */
export async function connect(options: ClickhouseOptions): Promise<ClickhouseClient> {
  const { createClient, ClickHouseLogLevel } = await loadDriver(
    'ClickhouseStorage',
    DRIVER,
    () => import('@clickhouse/client'),
  );
  return createClient({
    url: options.url,
    username: options.username,
    password: options.password,
    application: 'track-usage',
    request_timeout: REQUEST_TIMEOUT,
    log: { level: ClickHouseLogLevel.OFF },
  });
}
