import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { AccessLogWriter, sumStatus, sumUrls } from '../../src/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { isWanted, programOf } from '../support/services.ts';
import { startServer } from './support.ts';

describe.runIf(isWanted('goaccess'))('goaccess', () => {
  test('parses every line and reports the same totals', async () => {
    await using app = await startServer(
      (directory) => [
        new AccessLogWriter(join(directory, 'access.log')),
        new SqliteStorage(join(directory, 'usage.db'), { hooks: [sumUrls, sumStatus] }),
      ],
      { trustProxy: true },
    );
    const agents = [
      'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36',
      'curl/8.5.0',
      'with "quotes" inside',
    ];
    for (let n = 0; n < 120; n++) {
      await app.request(`/page/${n % 7}?status=${[200, 200, 404, 500][n % 4]}&n=${n % 3}`, {
        'user-agent': agents[n % agents.length]!,
        referer: n % 2 ? 'https://example.com/a?b=c' : '',
        'x-forwarded-for': `198.51.100.${n % 5}`,
        ...(n % 6 === 0 && {
          'x-forwarded-host': 'a/b HTTP/1.1" 200 "',
          authorization: `Basic ${Buffer.from('a[01/Jan/2020 "GET":x').toString('base64')}`,
        }),
      });
    }
    await app.usage.flush();
    const report = join(app.directory, 'report.json');
    await promisify(execFile)(programOf('goaccess')!, [
      join(app.directory, 'access.log'),
      '--no-global-config',
      '--log-format=COMBINED',
      '-o',
      report,
    ]);
    expect(existsSync(report)).toBe(true);
    const { general, status_codes: panel } = JSON.parse(readFileSync(report, 'utf8'));
    expect(general).toMatchObject({ total_requests: 120, valid_requests: 120, failed_requests: 0 });
    const expected = await app.usage.getSum(sumStatus, { period: 'day' });
    expect(general.bandwidth).toBe(expected.reduce((sum, { transfer }) => sum + transfer, 0));
    const actual: Record<string, number> = {};
    for (const { items } of panel.data) {
      for (const { data, hits } of items) actual[String(data).slice(0, 3)] = hits.count;
    }
    expect(actual).toEqual(Object.fromEntries(expected.map(({ key, hits }) => [key, hits])));
  });
});
