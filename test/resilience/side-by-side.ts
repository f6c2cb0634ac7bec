import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import type { ScenarioName } from './scenarios.ts';
import type { Told } from './side-by-side-app.ts';

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
  /** From the request to the last byte, in ms. */
  time: number;
}

/** A process of `side-by-side-app.ts`. */
export class BesideApp {
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

  static async start(name: ScenarioName | 'bare'): Promise<BesideApp> {
    const app = new BesideApp(temporaryDirectory(), name);
    app.port = (await app.#told()).port!;
    return app;
  }

  /** Asks the process itself. */
  tell(question: 'status' | 'flush' | 'collect'): Promise<Told> {
    this.#child.send(question);
    return this.#told();
  }

  /** From now on nobody reads its stderr, as when a shell's pipe has ended. */
  async deafen(): Promise<void> {
    this.#child.stderr!.destroy();
    await once(this.#child.stderr!, 'close');
  }

  /** The process ends by itself when it is told to, nothing having gone uncaught. Returns what it said on stderr. */
  async ends(): Promise<string> {
    const { uncaught } = await this.tell('status');
    expect(uncaught).toEqual([]);
    this.#child.disconnect();
    expect(await this.#exit).toEqual([0, null]);
    return this.#stderr;
  }

  /** Asks over HTTP, on `connections` connections that are kept. */
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

  async #told(): Promise<Told> {
    const [told] = await Promise.race([
      once(this.#child, 'message'),
      this.#exit.then(async (exit) => {
        throw new Error(`the app ended: ${exit}; ${await this.#stderr}`);
      }),
    ]);
    return told as Told;
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

/** The bare app and the same app in a scenario. */
export async function startBoth(name: ScenarioName): Promise<{ bare: BesideApp; tracked: BesideApp }> {
  const [bare, tracked] = await Promise.all([BesideApp.start('bare'), BesideApp.start(name)]);
  return { bare, tracked };
}

/** Both give the same answers, apart from the visitor's cookie. */
export function expectSame(bare: readonly Answer[], tracked: readonly Answer[]): void {
  const shown = ({ status, reason, headers, body }: Answer) => {
    const { date, 'set-cookie': cookie, ...rest } = headers;
    return { status, reason, headers: rest, body };
  };
  expect(tracked.map(shown)).toEqual(bare.map(shown));
}

/** Response times are of the same order; generous, for the machine may have other things to do. */
export function expectSameOrder(bare: readonly Answer[], tracked: readonly Answer[]): void {
  const median = (answers: readonly Answer[]) =>
    answers.map(({ time }) => time).sort((a, b) => a - b)[answers.length >> 1]!;
  expect(median(tracked)).toBeLessThan(5 * median(bare) + 5);
}
