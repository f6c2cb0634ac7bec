import { hookFailed } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import type { CaptureOptions } from './options.ts';
import { requireSynchronous } from './require-synchronous.ts';

/** Returns whether the framework trusts a proxy. A setting that throws, or returns a promise, trusts none. */
export function isTrusted(
  { reader, request }: Exchange,
  address: string,
  hop: number,
  onProblem: CaptureOptions['onProblem'],
): boolean {
  try {
    return requireSynchronous(reader.trusts(request, address, hop));
  } catch (error) {
    onProblem(hookFailed('the trust proxy setting', 'no proxy is trusted for this request', error));
    return false;
  }
}

/** Returns the first value of a list in a header, which the client's own proxy added. */
export function firstOf(list: string): string {
  const comma = list.indexOf(',');
  return (comma < 0 ? list : list.slice(0, comma)).trim();
}
