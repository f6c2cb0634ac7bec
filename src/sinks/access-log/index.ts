import { resolve } from 'node:path';
import { show, TrackUsageError } from '../../errors.ts';
import { checkOption, checkOptions } from '../../options/checks.ts';
import { moduleUrl } from '../../platform/threads.ts';
import { type RecordHook, RecordWriter } from '../../storage/writer.ts';
import { checkNoSummaries } from '../no-summaries.ts';
import { ACCESS_LOG_FORMATS, type AccessLogFormat } from './format.ts';

/** Options of an `AccessLogWriter`. All are optional. */
export interface AccessLogWriterOptions {
  /**
   * Format: `combined` (the default of Apache and nginx), or `common`, without referrer and user agent.
   * Defaults to `combined`.
   */
  format?: AccessLogFormat;
  /** Functions to call with each written record. */
  hooks?: readonly RecordHook[];
}

/** Options that the thread needs to write the file. */
export interface AccessLogOptions {
  /** Absolute path of the file. */
  path: string;
  format: AccessLogFormat;
}

/**
 * Appends a line for each request to a file, in a standard access log format. Each record is written exactly
 * once, even after crashes: `<file>.positions` stores the written position of each journal. The file may be
 * renamed at any time, for example by logrotate. Several processes on one machine can share it.
 */
export class AccessLogWriter extends RecordWriter {
  /**
   * @param path Path of the file, relative to the working directory. The file is created if it does not
   * exist.
   */
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
