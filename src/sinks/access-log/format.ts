import type { RecordBatch } from '../../batch.ts';
import { calendar } from '../../summaries/periods.ts';

/** Formats of an access log. */
export const ACCESS_LOG_FORMATS = ['combined', 'common'] as const;
/**
 * Format of an access log: `combined` (the default of Apache and nginx), or `common`, without referrer and user agent.
 * @useDeclaredType
 */
export type AccessLogFormat = (typeof ACCESS_LOG_FORMATS)[number];

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * Formats the lines of a batch like Apache (`%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`, see
 * mod_log_config), with times in the site's zone.
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

/** Returns path and query, because the request line does not contain the host. */
function target(url: string): string {
  const scheme = url.indexOf('://');
  const slash = scheme < 0 ? 0 : url.indexOf('/', scheme + 3);
  // A Host header may contain a space, which Node accepts.
  return slash < 0 ? '/' : url.slice(slash).replaceAll(' ', '%20');
}

/** `2026-11-01T09:15:00.123+01:00` as `01/Nov/2026:09:15:00 +0100` */
function time(iso: string): string {
  const [, year, month, day, clock, offset = ''] =
    /^(\d+)-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(.*)$/.exec(iso) ?? [];
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${clock} ${offset.replace(':', '')}`;
}

/** Encodes characters that would end an unquoted field, as in a URL. */
function word(text: string | null): string {
  return text === null ? '-' : text.replace(/[\s"\\[\]\p{C}]/gu, encodeURIComponent);
}

/** Escapes quotes, which would end the field, and line breaks, which would end the line. */
function quoted(text: string): string {
  return text.replace(/["\\\p{Cc}\u2028\u2029]/gu, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return Buffer.from(character).reduce((hex, byte) => `${hex}\\x${byte.toString(16).padStart(2, '0')}`, '');
  });
}
