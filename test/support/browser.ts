import axe, { type AxeResults } from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { programOf } from './services.ts';

/** A page in a window of its own, without another's cookies; closed by `await using`. */
export interface OpenPage extends AsyncDisposable {
  page: Page;
  /** The URLs of all that it asked other hosts for. */
  elsewhere: string[];
  /** What the console showed as an error, what was thrown, and what the page's policy (CSP) did not allow. */
  complaints: string[];
}

export interface OpenOptions extends BrowserContextOptions {
  /** Looks at the page, or prepares it, before anything is loaded. */
  before?: (page: Page) => unknown;
}

/** Starts Chromium for the tests of a file, where they run, and ends it with them. */
export function fileBrowser(): { openPage(url: string, options?: OpenOptions): Promise<OpenPage> } {
  let browser: Browser | undefined;
  beforeAll(async () => {
    const program = programOf('chromium');
    if (!program) throw new Error('chromium is not installed: npm run services');
    browser = await chromium.launch({
      executablePath: program,
      // It refuses to have one as root.
      chromiumSandbox: process.getuid?.() !== 0,
      // Whatever a page asks for, nothing leaves this machine.
      args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1'],
    });
  });
  afterAll(() => browser?.close());
  return { openPage: (url, options) => openPage(browser!, url, options) };
}

async function openPage(browser: Browser, url: string, options: OpenOptions = {}): Promise<OpenPage> {
  const { before, ...contextOptions } = options;
  const context = await browser.newContext(contextOptions);
  const elsewhere: string[] = [];
  const complaints: string[] = [];
  const { host } = new URL(url);
  const onRequest = (asked: string) => {
    if (!/^(?:data|blob|about):/.test(asked) && new URL(asked).host !== host) elsewhere.push(asked);
  };
  context.on('request', (request) => onRequest(request.url()));
  context.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  context.on('weberror', (thrown) => complaints.push(String(thrown.error())));
  context.on('page', (page) => page.on('websocket', (socket) => onRequest(socket.url())));
  // The console does not tell of all of them, such as those of a policy that only reports.
  await context.exposeBinding('complain', (_source, violation: string) => complaints.push(violation));
  await context.addInitScript(`addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    complain('CSP ' + violatedDirective + ': ' + blockedURI))`);
  const page = await context.newPage();
  await before?.(page);
  await page.goto(url);
  return { page, elsewhere, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** What axe finds wrong with a page for those who see or hear it otherwise, one line for each element. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
}
