import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SECRET_NAMES } from '../../src/capture/secret-names.ts';
import { main } from '../../src/cli/main.ts';
import { ERROR_CODES, TrackUsageError } from '../../src/errors.ts';
import { storageAt } from '../../src/storages/by-url.ts';
import { MAX_KEY_LENGTH, MAX_KEYS_PER_RECORD } from '../../src/summaries/keys.ts';
import { STANDARD_SUMMARIES } from '../../src/summaries/standard.ts';
import { TEXT_LIMITS } from '../../src/text/text.ts';
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
});

function message(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}
