import { resolve } from 'node:path';
import { show, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { type RecordHook, RecordWriter } from '../../storage/writer.ts';
import { checkNoSummaries } from '../no-summaries.ts';
import { ACCESS_LOG_FORMATS, type AccessLogFormat } from './format.ts';

export interface AccessLogWriterOptions {
  /**
   * The format: `combined`, as Apache and nginx write it by default, or `common`, without referrer and user agent.
   * Defaults to `combined`.
   */
  format?: AccessLogFormat;
  /** Functions to call with each record that was written. */
  hooks?: readonly RecordHook[];
}

/** What the thread needs to write the file. */
export interface AccessLogOptions {
  /** Absolute. */
  path: string;
  format: AccessLogFormat;
}

/**
 * Appends a line for each request to a file, in a format that programs for access logs read. Each record is written
 * once, through crashes too: beside the file, `<file>.positions` remembers how far each journal is written. The file
 * may be renamed at any time, as logrotate does; several processes of one machine may share it.
 */
export class AccessLogWriter extends RecordWriter {
  /** @param path The file, created when it does not exist; relative to the working directory. */
  constructor(path: string, options: AccessLogWriterOptions = {}) {
    if (typeof path !== 'string' || path === '' || path.includes('\0')) {
      throw new TrackUsageError('OPTION_INVALID', {
        name: 'path',
        value: show(path),
        expected: 'the path of a file, such as "access.log"',
      });
    }
    checkOptions('AccessLogWriter', options, ['format', 'hooks']);
    const { format = 'combined', hooks = [] } = options;
    checkOption(
      'AccessLogWriter.format',
      format,
      ACCESS_LOG_FORMATS.includes(format),
      ACCESS_LOG_FORMATS.map((known) => `"${known}"`).join(' or '),
    );
    checkNoSummaries('AccessLogWriter', hooks);
    const absolute = resolve(path);
    super(
      {
        label: `access-log:${path}`,
        identity: `access-log:${absolute}`,
        module: moduleUrl('../../sinks/access-log/module', import.meta.url),
        options: { path: absolute, format } satisfies AccessLogOptions,
        hooks,
      },
      [],
    );
  }
}
