import { partsOfUrl } from '../batch.ts';
import type { CapturedRecord } from '../record.ts';
import type { CapturedFields } from './record-sink.ts';

/** Returns the record passed to a user's functions at capture. A separate object, which they may keep. */
export function capturedRecord(
  fields: CapturedFields,
  { site, serverName }: { site: string; serverName: string },
  routeParams: object | undefined,
  vars: Record<string, unknown> | undefined,
): CapturedRecord {
  return {
    date: fields.date,
    site,
    serverName,
    method: fields.method,
    ...partsOfUrl(fields.url),
    route: fields.route || null,
    routeParams: (routeParams as Record<string, unknown> | undefined) ?? null,
    protocol: fields.protocol,
    status: fields.status,
    class: null,
    contentLength: fields.contentLength,
    received: null,
    duration: fields.duration,
    remoteAddr: fields.remoteAddr || null,
    forwardedFor: fields.forwardedFor || null,
    userAgent: fields.agent === '' ? null : { string: fields.agent },
    referrer: fields.referrer || null,
    username: fields.username || null,
    authorization: fields.credentials,
    visitor: fields.visitor || null,
    vars: vars ?? null,
    blueprint: fields.blueprint || null,
  };
}
