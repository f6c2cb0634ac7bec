import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

/*
 * The timers and clocks of Node, copied when this module is loaded. Everything in `src/` that waits or reads the time
 * uses these: an app's tests replace the global ones and those of `node:timers` (node:test, Sinon, Jest, Vitest), and
 * a response must not wait for a timer that such a test never fires. They are taken from Node's modules because fake
 * timers that Jest installs before a module is loaded replace the globals alone. Biome forbids the others.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;
export const nextTick: typeof process.nextTick = process.nextTick.bind(process);

const { now: performanceNow } = performance;
const { now: dateNow } = Date;

/** Milliseconds on a clock that never goes back, with fractions. For durations and deadlines. */
export const monotonicClock: { now(): number } = { now: () => performanceNow.call(performance) };

const [seconds, nanoseconds] = process.hrtime();
const threadOffset = seconds * 1_000 + nanoseconds / 1_000_000 - monotonicClock.now();

/** Converts a time of `monotonicClock`, which is one of a thread, to one that all threads of the process share, ms. */
export function processTime(now: number = monotonicClock.now()): number {
  return threadOffset + now;
}

/** Milliseconds since 1970, even if the app's tests replace `Date`. Our own tests replace its `now`. */
export const wallClock: { now(): number } = {
  now: isNative(dateNow) ? dateNow : () => Math.round(performance.timeOrigin + monotonicClock.now()),
};

/** Whether a function is one of the engine's: fake timers that were installed before replaced it otherwise. */
function isNative(method: () => number): boolean {
  return Function.prototype.toString.call(method).includes('[native code]');
}
