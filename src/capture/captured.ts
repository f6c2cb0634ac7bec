import { partsOfUrl } from '../batch.ts';
import type { CapturedRecord } from '../record.ts';
import type { Facts } from './record-sink.ts';

/** Returns the record passed to a user's functions at capture. A separate object, which they may keep. */
export function capturedRecord(
  facts: Facts,
  { site, serverName }: { site: string; serverName: string },
  routeParams: object | undefined,
  vars: Record<string, unknown> | undefined,
): CapturedRecord {
  return {
    date: facts.date,
    site,
    serverName,
    method: facts.method,
    ...partsOfUrl(facts.url),
    route: facts.route || null,
    routeParams: (routeParams as Record<string, unknown> | undefined) ?? null,
    protocol: facts.protocol,
    status: facts.status,
    contentLength: facts.contentLength,
    duration: facts.duration,
    remoteAddr: facts.remoteAddr || null,
    forwardedFor: facts.forwardedFor || null,
    userAgent: facts.agent === '' ? null : { string: facts.agent },
    referrer: facts.referrer || null,
    username: facts.username || null,
    authorization: facts.credentials,
    visitor: facts.visitor || null,
    vars: vars ?? null,
    blueprint: facts.blueprint || null,
  };
}
