import { partsOfUrl } from '../batch.ts';
import type { CapturedRecord } from '../record.ts';
import { classOf } from '../summaries/request-class.ts';
import type { CapturedFields } from './record-sink.ts';

/** Returns the record passed to a user's functions at capture. A separate object, which they may keep. */
export function capturedRecord(
  fields: CapturedFields,
  { site, serverName }: { site: string; serverName: string },
  routeParams: object | undefined,
  vars: Record<string, unknown> | undefined,
): CapturedRecord {
  const parts = partsOfUrl(fields.url);
  return {
    date: fields.date,
    site,
    serverName,
    method: fields.method,
    ...parts,
    route: fields.route || null,
    routeParams: (routeParams as Record<string, unknown> | undefined) ?? null,
    protocol: fields.protocol,
    status: fields.status,
    class: classOf({ code: fields.class, method: fields.method, path: parts.path, status: fields.status }),
    contentLength: fields.contentLength,
    received: fields.received < 0 ? null : fields.received,
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
