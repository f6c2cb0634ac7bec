import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import type { ScenarioName } from './scenarios.ts';
import type { AppReport } from './side-by-side-app.ts';

export interface Ask {
  path: string;
  method?: string;
  headers?: http.OutgoingHttpHeaders;
}

export interface Answer {
  status: number;
  reason: string;
  headers: http.IncomingHttpHeaders;
  body: string;
  /** Time from the request to the last byte, in ms. */
  time: number;
}

/** A process of `side-by-side-app.ts`. */
export class SideBySideApp {
  port = 0;
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #stderr: Promise<string>;
  readonly #exit: Promise<unknown[]>;

  private constructor(directory: string, name: ScenarioName | 'bare') {
    this.directory = directory;
    this.#child = fork(join(import.meta.dirname, 'side-by-side-app.ts'), [directory, name], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#stderr = text(this.#child.stderr!).catch(() => '');
    this.#exit = once(this.#child, 'exit');
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  static async start(name: ScenarioName | 'bare'): Promise<SideBySideApp> {
    const app = new SideBySideApp(temporaryDirectory(), name);
    app.port = (await app.#nextReport()).port!;
    return app;
  }

  /** Sends a command to the process and returns its report. */
  command(command: 'status' | 'flush' | 'collect'): Promise<AppReport> {
    this.#child.send(command);
    return this.#nextReport();
  }

  /** Closes the reading end of its stderr, as when a shell's pipe has ended. */
  async closeStderr(): Promise<void> {
    this.#child.stderr!.destroy();
    await once(this.#child.stderr!, 'close');
  }

  /** Ends the process, and checks that it exits with no uncaught error. Returns its stderr. */
  async end(): Promise<string> {
    const { uncaught } = await this.command('status');
    expect(uncaught).toEqual([]);
    this.#child.disconnect();
    expect(await this.#exit).toEqual([0, null]);
    return this.#stderr;
  }

  /** Sends HTTP requests on `connections` keep-alive connections. */
  async ask(asks: readonly Ask[], connections = 8): Promise<Answer[]> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
    const answers: Answer[] = [];
    let next = 0;
    const client = async () => {
      for (let i = next++; i < asks.length; i = next++) answers[i] = await this.#one(agent, asks[i]!);
    };
    await Promise.all(Array.from({ length: connections }, client));
    agent.destroy();
    return answers;
  }

  async #nextReport(): Promise<AppReport> {
    const [report] = await Promise.race([
      once(this.#child, 'message'),
      this.#exit.then(async (exit) => {
        throw new Error(`the app ended: ${exit}; ${await this.#stderr}`);
      }),
    ]);
    return report as AppReport;
  }

  #one(agent: http.Agent, { path, method = 'GET', headers = {} }: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const began = performance.now();
      const options = { host: '127.0.0.1', port: this.port, path, method, headers, agent };
      http
        .request(options, (response) => {
          let body = '';
          response.setEncoding('latin1');
          response.on('data', (chunk: string) => {
            body += chunk;
          });
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode = 0, statusMessage = '', headers } = response;
            const time = performance.now() - began;
            resolve({ status: statusCode, reason: statusMessage, headers, body, time });
          });
        })
        .on('error', reject)
        .end();
    });
  }
}

/** Starts the bare app and the same app in a scenario. */
export async function startBoth(
  name: ScenarioName,
): Promise<{ bare: SideBySideApp; tracked: SideBySideApp }> {
  const [bare, tracked] = await Promise.all([SideBySideApp.start('bare'), SideBySideApp.start(name)]);
  return { bare, tracked };
}

/** Both give the same responses, apart from the visitor's cookie. */
export function expectSame(bare: readonly Answer[], tracked: readonly Answer[]): void {
  const shown = ({ status, reason, headers, body }: Answer) => {
    const { date, 'set-cookie': cookie, ...rest } = headers;
    return { status, reason, headers: rest, body };
  };
  expect(tracked.map(shown)).toEqual(bare.map(shown));
}

/** Response times are of the same order. The limit is generous, because the machine may be busy. */
export function expectSameOrder(bare: readonly Answer[], tracked: readonly Answer[]): void {
  const median = (answers: readonly Answer[]) =>
    answers.map(({ time }) => time).sort((a, b) => a - b)[answers.length >> 1]!;
  expect(median(tracked)).toBeLessThan(5 * median(bare) + 5);
}
