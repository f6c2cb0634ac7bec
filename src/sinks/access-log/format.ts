import type { RecordBatch } from '../../batch.ts';
import { calendar } from '../../summaries/periods.ts';

/** The formats that an access log can have. */
export const ACCESS_LOG_FORMATS = ['combined', 'common'] as const;
export type AccessLogFormat = (typeof ACCESS_LOG_FORMATS)[number];

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * The lines of a batch, as Apache writes them (`%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`, its
 * documentation of mod_log_config), with times in the site's zone.
 */
export function accessLogLines(records: RecordBatch, format: AccessLogFormat, timeZone: string): string {
  const zone = calendar(timeZone);
  const lines: string[] = [];
  for (let i = 0; i < records.length; i++) {
    const at = (column: Parameters<RecordBatch['at']>[0]) => records.at(column, i);
    const request = `${at('method')} ${target(at('url') ?? '/')} ${at('protocol')}`;
    const bytes = records.contentLength[i]!;
    const common = `${word(at('remoteAddr'))} - ${word(at('username'))} [${time(zone.format(records.date[i]!))}] "${quoted(request)}" ${records.status[i]} ${bytes === 0 ? '-' : bytes}`;
    lines.push(
      format === 'common'
        ? `${common}\n`
        : `${common} "${quoted(at('referrer') ?? '-')}" "${quoted(at('agent') ?? '-')}"\n`,
    );
  }
  return lines.join('');
}

/** Path and query: the request's first line does not hold the host. */
function target(url: string): string {
  const scheme = url.indexOf('://');
  const slash = scheme < 0 ? 0 : url.indexOf('/', scheme + 3);
  // A Host header may hold a space, and Node lets it pass.
  return slash < 0 ? '/' : url.slice(slash).replaceAll(' ', '%20');
}

/** `2026-11-01T09:15:00.123+01:00` as `01/Nov/2026:09:15:00 +0100` */
function time(iso: string): string {
  const [, year, month, day, clock, offset = ''] =
    /^(\d+)-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(.*)$/.exec(iso) ?? [];
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${clock} ${offset.replace(':', '')}`;
}

/** What ends a field without quotes, or begins the next one, is written as in a URL. */
function word(text: string | null): string {
  return text === null ? '-' : text.replace(/[\s"\\[\]\p{C}]/gu, encodeURIComponent);
}

/** A quote must not end the field, nor a line break the line. */
function quoted(text: string): string {
  return text.replace(/["\\\p{Cc}\u2028\u2029]/gu, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return Buffer.from(character).reduce((hex, byte) => `${hex}\\x${byte.toString(16).padStart(2, '0')}`, '');
  });
}
