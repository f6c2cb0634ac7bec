import { hookFailed } from '../errors.ts';
import { atOnce } from './at-once.ts';
import type { Exchange } from './exchange.ts';
import type { CaptureOptions } from './options.ts';

/** Whether the framework trusts a proxy. A setting that throws, or that needs time, trusts nobody. */
export function isTrusted(
  { reader, request }: Exchange,
  address: string,
  hop: number,
  onProblem: CaptureOptions['onProblem'],
): boolean {
  try {
    return atOnce(reader.trusts(request, address, hop));
  } catch (error) {
    onProblem(hookFailed('the setting that trusts proxies', 'none is trusted for the request', error));
    return false;
  }
}

/** The first of a list in a header: what the client's own proxy said. */
export function firstOf(list: string): string {
  const comma = list.indexOf(',');
  return (comma < 0 ? list : list.slice(0, comma)).trim();
}
