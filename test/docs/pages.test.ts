import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchorOf } from '../../docs/.vitepress/anchor.ts';
import { SECRET_NAMES } from '../../src/capture/secret-names.ts';
import { CLICK_IDS } from '../../src/capture/strip-query.ts';
import { main } from '../../src/cli/main.ts';
import { ERROR_CODES, TrackUsageError } from '../../src/errors.ts';
import { AccessLogWriter, OutputWriter, PrintWriter } from '../../src/index.ts';
import type { RecordWriter } from '../../src/storage/writer.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { type ClickhouseClient, ClickhouseStorage } from '../../src/storages/clickhouse/index.ts';
import { MemoryStorage } from '../../src/storages/memory/index.ts';
import { type MongoDbLike, MongoStorage } from '../../src/storages/mongo/index.ts';
import { MysqlStorage } from '../../src/storages/mysql/index.ts';
import { PostgresStorage } from '../../src/storages/postgres/index.ts';
import { type RedisClient, RedisStorage } from '../../src/storages/redis/index.ts';
import { SqliteStorage } from '../../src/storages/sqlite/index.ts';
import { MAX_KEY_LENGTH, MAX_KEYS_PER_RECORD } from '../../src/summaries/keys.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { TEXT_LIMITS } from '../../src/text/text.ts';
import { MAX_EXTRA_LENGTH, MAX_RECORDS, MAX_TEXT_LENGTH } from '../../src/writer/thread/batch-builder.ts';
import { PAGES, ROOT, read, section } from './documentation.ts';

describe('documentation pages', () => {
  test.each(PAGES)('%s has no broken link', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const broken = links.filter((link) => {
      if (/^https?:/.test(link)) return false;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test.each(PAGES)('%s has no markers of a merge conflict', (page) => {
    expect(read(page)).not.toMatch(/^(<{7}|>{7}) /m);
  });

  test('list every error with its message', () => {
    const rows = ERROR_CODES.map((code) => {
      const { message, hint } = new TrackUsageError(code);
      // The message ends with the hint: "what happened; hint."
      return `| \`${code}\` | ${message.slice(0, -(hint.length + 3))} | ${hint} |`;
    });
    expect(section('docs/reference/error-codes.md', 'codes')).toBe(
      ['| code | what happened | what to do |', '| --- | --- | --- |', ...rows].join('\n'),
    );
  });

  test('list every form of a storage URL', () => {
    const known = () => storageAt('');
    expect(known).toThrow(/mysql:\/\/…/);
    for (const [, form = ''] of message(known).matchAll(/(\w[\w+]*:(?:\/\/|PATH))/g)) {
      expect(read('docs/reference/cli.md')).toContain(`\`${form}`);
    }
  });

  test('list every command-line option', async () => {
    const help = async (...command: string[]) => {
      let text = '';
      const stdout = (part: string) => {
        text += part;
      };
      await main([...command, '--help'], { stdout, stderr: () => {}, isTTY: false, columns: 80, env: {} });
      return text;
    };
    const commands = [...(await help()).matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name = '']) => name);
    expect(commands).toContain('sum');
    const missing: string[] = [];
    for (const command of commands.filter((name) => name !== 'help')) {
      for (const [, option = ''] of (await help(command)).matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)) {
        if (!/^--(help|version)$/.test(option) && !read('docs/reference/cli.md').includes(`\`${option}`)) {
          missing.push(`${command} ${option}`);
        }
      }
    }
    expect(missing).toEqual([]);
  });

  test('list every redacted name', () => {
    expect(section('docs/guides/privacy.md', 'redacted names')).toBe(
      `${SECRET_NAMES.map((name) => `\`${name}\``).join(', ')}.`,
    );
  });

  test('list every click ID', () => {
    expect(section('docs/guides/privacy.md', 'click ids')).toBe(
      `${CLICK_IDS.map((name) => `\`${name}\``).join(', ')}.`,
    );
  });

  test('list every summary', () => {
    const named = [...read('docs/reference/summaries.md').matchAll(/^\| `(sum\w+)` \|/gm)].map(
      ([, title]) => title,
    );
    expect(named.filter((title) => title !== 'sumBasic')).toEqual(
      STANDARD_SUMMARIES.map(({ title }) => title),
    );
  });

  test('state the limits of fields', () => {
    const limits = [...section('docs/concepts/guarantees.md', 'limits').matchAll(/\| ([\d,]+) \|$/gm)].map(
      ([, n = '']) => Number(n.replaceAll(',', '')),
    );
    const { extra, acceptLanguage, keys, ...fields } = TEXT_LIMITS;
    expect(new Set(limits)).toEqual(new Set(Object.values({ ...fields, MAX_KEY_LENGTH })));
    const guarantees = read('docs/concepts/guarantees.md');
    expect(guarantees).toContain(`longer than ${extra.toLocaleString('en-US')} as JSON`);
    expect(guarantees).toContain(`Accept-Language is cut at ${acceptLanguage}`);
    const ofKeys = [
      `${MAX_KEY_LENGTH} UTF-16`,
      `${MAX_KEYS_PER_RECORD} different`,
      `${keys.toLocaleString('en-US')} characters`,
    ];
    for (const limit of ofKeys) expect(read('docs/guides/custom-summaries.md')).toContain(`| ${limit}`);
  });

  test('state the limits of a batch', () => {
    const hide = () => 'password';
    const redis = { sendCommand: hide } as unknown as RedisClient;
    const clickhouse = { exec: hide, query: hide } as unknown as ClickhouseClient;
    const mongo = { collection: hide, command: hide, databaseName: 'usage' } as unknown as MongoDbLike;
    const rows: [name: string, ...RecordWriter[]][] = [
      [
        'SQLite, MongoDB, memory',
        new SqliteStorage('usage.db'),
        new MongoStorage('mongodb://host/usage'),
        new MemoryStorage(),
      ],
      ['PostgreSQL', new PostgresStorage('postgres://host/usage')],
      [
        'MySQL, Redis, ClickHouse',
        new MysqlStorage('mysql://host/usage'),
        new RedisStorage('redis://host'),
        new ClickhouseStorage('clickhouse://host/usage'),
      ],
      ['with your own client: MongoDB', new MongoStorage(mongo)],
      [
        'with your own client: PostgreSQL, MySQL, Redis',
        new PostgresStorage({ host: 'host', database: 'usage', password: hide }),
        new MysqlStorage({ host: 'host', database: 'usage', typeCast: hide }),
        new RedisStorage(redis),
      ],
      ['with your own client: ClickHouse', new ClickhouseStorage(clickhouse)],
      ['`OutputWriter`, `PrintWriter`', new OutputWriter(), new PrintWriter()],
      ['`AccessLogWriter`', new AccessLogWriter('access.log')],
    ];
    const expected = rows.flatMap(([name, ...storages]) => [
      ...new Set(storages.map(({ maxRecords = MAX_RECORDS }) => batchRow(name, maxRecords))),
    ]);
    const [, , ...stated] = section('docs/concepts/guarantees.md', 'batches').split('\n');
    expect(stated).toEqual(expected);
  });
});

/** Returns the row of the table of batch limits. The limits of text grow with that of records, as in `BatchBuilder`. */
function batchRow(name: string, records: number): string {
  const scale = Math.max(1, records / MAX_RECORDS);
  const [text, extra] = [MAX_TEXT_LENGTH, MAX_EXTRA_LENGTH].map(
    (limit) => `${(limit * scale) / 1024 ** 2} Mi`,
  );
  return `| ${name} | ${records.toLocaleString('en-US')} | ${text} | ${extra} |`;
}

function message(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

/** Returns the anchors of a page's headings. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));
}
