/** Random handlers on a bare server and on tracked ones, which must behave alike. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../journal/support.ts';
import type { Observed } from './program-app.ts';
import { type Program, program } from './programs.ts';

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31);
/** Duration for each kind of app, in ms. */
const TIME = 7_000;
const MODES = ['append', 'group', 'power'] as const;

/** A process of `program-app.ts`. */
class App {
  readonly mode: string;
  readonly #child: ChildProcess;
  #resolve: (answer: never) => void = () => {};
  #reject: (error: Error) => void = () => {};

  private constructor(mode: string, wrapping: string) {
    this.mode = mode;
    this.#child = fork(join(import.meta.dirname, 'program-app.ts'), [temporaryDirectory(), mode, wrapping], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (answer) => this.#resolve(answer as never));
    this.#child.on('exit', (code, signal) => this.#reject(new Error(`the app ended: ${code ?? signal}`)));
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  static async start(mode: string, wrapping: string): Promise<App> {
    const app = new App(mode, wrapping);
    await app.#answer();
    return app;
  }

  run(given: Program): Promise<Observed> {
    this.#child.send(given);
    return this.#answer();
  }

  #answer(): Promise<Observed> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }
}

const seen = ({ log, wire }: Observed) => ({ log, wire });

describe.each(['plain', 'wrapped'])('%s methods', (wrapping) => {
  test(`random handlers behave as without tracking (seed ${SEED})`, async () => {
    const [bare, ...apps] = await Promise.all(['bare', ...MODES].map((mode) => App.start(mode, wrapping)));
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(program, async (given) => {
        const [expected, ...observed] = await Promise.all([bare!, ...apps].map((app) => app.run(given)));
        for (const [i, { mode }] of apps.entries()) {
          const found = await sameAs(expected!, observed[i]!, given, bare!, apps[i]!);
          const { captured, problems, isClosed } = found.counted!;
          if (isClosed) expect({ mode, captured }).toEqual({ mode, captured: found.requests });
          const isReadable = given.requests.every(({ steps }) =>
            steps.every(({ call }) => call !== 'getter'),
          );
          if (isReadable) expect(problems).toEqual([]);
        }
        compared += 1;
      }),
      { seed: SEED, numRuns: 10_000, interruptAfterTimeLimit: TIME },
    );
    expect(compared).toBeGreaterThan(10);
  });
});

/**
 * Fails if the tracked app differs from the bare one. Timers and packets may arrive in another order: such a
 * difference does not repeat.
 */
async function sameAs(
  first: Observed,
  own: Observed,
  given: Program,
  bare: App,
  app: App,
): Promise<Observed> {
  const known = [first];
  let found = own;
  for (let again = 0; again < 6; again++) {
    if (known.some((expected) => isSame(found, expected))) return found;
    known.push(await bare.run(given));
    found = await app.run(given);
  }
  expect({ mode: app.mode, ...seen(found) }).toEqual({ mode: app.mode, ...seen(known.at(-1)!) });
  return found;
}

function isSame(one: Observed, other: Observed): boolean {
  return one.wire === other.wire && one.log.join('\n') === other.log.join('\n');
}
