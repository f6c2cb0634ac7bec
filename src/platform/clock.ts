import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

/*
 * Node's timers and clocks, copied when this module is loaded. All code in `src/` uses these. An app's tests
 * replace the global ones and those of `node:timers` (node:test, Sinon, Jest, Vitest), and a response must
 * not wait for a fake timer. They come from Node's modules, because fake timers that Jest installs before a
 * module is loaded only replace the globals. Biome forbids other timers and clocks in `src/`.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;
export const nextTick: typeof process.nextTick = process.nextTick.bind(process);

const { now: performanceNow } = performance;
const { now: dateNow } = Date;

/** Monotonic clock, in ms with fractions. For durations and deadlines. */
export const monotonicClock: { now(): number } = { now: () => performanceNow.call(performance) };

const [seconds, nanoseconds] = process.hrtime();
const threadOffset = seconds * 1_000 + nanoseconds / 1_000_000 - monotonicClock.now();

/** Converts a `monotonicClock` time of this thread to a time that all threads of the process share, in ms. */
export function processTime(now: number = monotonicClock.now()): number {
  return threadOffset + now;
}

/** Real time in ms since 1970, even if the app's tests replace `Date`. Our own tests replace its `now`. */
export const wallClock: { now(): number } = {
  now: isNative(dateNow) ? dateNow : () => Math.round(performance.timeOrigin + monotonicClock.now()),
};

/** Returns whether a function is built in, and not a fake clock installed earlier. */
function isNative(method: () => number): boolean {
  return Function.prototype.toString.call(method).includes('[native code]');
}
