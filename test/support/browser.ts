import axe, { type AxeResults } from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { programOf } from './services.ts';

/** A page in a separate browser context, without cookies of other pages. Closed by `await using`. */
export interface OpenPage extends AsyncDisposable {
  page: Page;
  /** URLs of all requests to other hosts. */
  elsewhere: string[];
  /** Console errors, uncaught errors, and violations of the page's content security policy. */
  complaints: string[];
}

export interface OpenOptions extends BrowserContextOptions {
  /** Inspects or prepares the page before anything is loaded. */
  before?: (page: Page) => unknown;
}

/** Starts Chromium for the tests of a file, and closes it after them. */
export function fileBrowser(): { openPage(url: string, options?: OpenOptions): Promise<OpenPage> } {
  let browser: Browser | undefined;
  beforeAll(async () => {
    const program = programOf('chromium');
    if (!program) throw new Error('chromium is not installed: npm run services');
    browser = await chromium.launch({
      executablePath: program,
      // Chromium refuses to use its sandbox as root.
      chromiumSandbox: process.getuid?.() !== 0,
      // Blocks all requests to other machines.
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
  // The console omits some violations, for example those of a report-only policy.
  await context.exposeBinding('complain', (_source, violation: string) => complaints.push(violation));
  await context.addInitScript(`addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    complain('CSP ' + violatedDirective + ': ' + blockedURI))`);
  const page = await context.newPage();
  await before?.(page);
  await page.goto(url);
  return { page, elsewhere, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** Returns the accessibility violations that axe finds in a page, one line per element. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
}
