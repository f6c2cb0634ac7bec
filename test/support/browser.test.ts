import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { barriers, fileBrowser } from './browser.ts';
import { closeServer, listen } from './engines.ts';
import { isWanted } from './services.ts';

const PAGES: Record<string, { policy?: string; html: string }> = {
  '/fine': { html: '<title>Fine</title><script>document.title += "!"</script>' },
  '/elsewhere': {
    html: `<title>Elsewhere</title><img src="http://example.com/a.png"><script>
      new WebSocket('ws://example.com/b');
      console.error('an error of its own');
      queueMicrotask(() => { throw new Error('thrown') });
    </script>`,
  },
  '/barrier': {
    html: '<html lang="en"><title>Barrier</title><main><h1>Lamps</h1><img src="data:,"></main></html>',
  },
  '/policy': {
    policy: "default-src 'none'",
    html: '<title>Policy</title><style>p { color: red }</style><script>document.title = "no"</script>',
  },
};

describe.runIf(isWanted('chromium'))('a page in Chromium', () => {
  const { openPage } = fileBrowser();
  const server = http.createServer((request, response) => {
    const { policy, html } = PAGES[request.url ?? ''] ?? { html: '' };
    response.setHeader('content-type', 'text/html');
    if (policy) response.setHeader('content-security-policy', policy);
    response.end(html);
  });
  let url = '';
  beforeAll(async () => {
    const { address } = await listen(server);
    url = `http://127.0.0.1:${address.port}`;
  });
  afterAll(() => closeServer(server));

  test('is opened, and says nothing where all is well', async () => {
    await using opened = await openPage(`${url}/fine`);
    expect(await opened.page.title()).toBe('Fine!');
    expect(opened.elsewhere).toEqual([]);
    expect(opened.complaints).toEqual([]);
  });

  test('tells what it asked others for, and what went wrong', async () => {
    await using opened = await openPage(`${url}/elsewhere`);
    await expect.poll(() => opened.elsewhere).toEqual(['http://example.com/a.png', 'ws://example.com/b']);
    const shown = () => opened.complaints.join('\n');
    await expect.poll(shown).toMatch(/an error of its own/);
    await expect.poll(shown).toMatch(/Error: thrown/);
    await expect.poll(shown).toMatch(/ERR_NAME_NOT_RESOLVED/);
  });

  test('tells what its policy did not allow', async () => {
    await using opened = await openPage(`${url}/policy`);
    expect(await opened.page.title()).toBe('Policy');
    await expect
      .poll(() => opened.complaints)
      .toEqual(expect.arrayContaining(['CSP script-src-elem: inline', 'CSP style-src-elem: inline']));
  });

  test('has no cookies of another, and settings of its own', async () => {
    await using first = await openPage(`${url}/fine`);
    await first.page.evaluate("document.cookie = 'a=b'");
    await using second = await openPage(`${url}/fine`, {
      timezoneId: 'Asia/Kathmandu',
      before: (page) => page.clock.setFixedTime('2026-01-01T00:00:00Z'),
    });
    expect(await second.page.evaluate('[document.cookie, new Date().getHours(), Date.now()]')).toEqual([
      '',
      5,
      Date.UTC(2026, 0, 1),
    ]);
  });

  test('is looked through by axe, whatever its policy', async () => {
    await using fine = await openPage(`${url}/barrier`);
    expect(await barriers(fine.page)).toEqual([expect.stringMatching(/^image-alt: .*: <img src="data:,">$/)]);
    await using strict = await openPage(`${url}/policy`);
    expect(await barriers(strict.page)).toContainEqual(expect.stringMatching(/^html-has-lang: /));
  });
});
