import type { UsageRecord } from '../record.ts';
import type { RecordHook } from '../storage/writer.ts';
import { showControls } from '../text/escape.ts';
import { OutputWriter } from './output.ts';

/** Options of a `PrintWriter`. All are optional. */
export interface PrintWriterOptions {
  /** Functions to call with each printed record. */
  hooks?: readonly RecordHook[];
}

/** Prints a line for each request on stdout, for use during development. */
export class PrintWriter extends OutputWriter {
  /** @param options Hooks. Defaults to none. */
  constructor({ hooks = [], ...rest }: PrintWriterOptions = {}) {
    super({ ...rest, output: process.stdout, transform: line, hooks }, 'print');
  }
}

/** `2026-11-01T09:15:00.123Z 127.0.0.1 GET http://localhost:3000/books?page=2 200 5120 bytes 12.3 ms` */
function line({ date, remoteAddr, method, url, status, contentLength, duration }: UsageRecord): string {
  const text = `${remoteAddr ?? '-'} ${method} ${url} ${status} ${contentLength} bytes ${(duration / 1000).toFixed(1)} ms`;
  // Most of it is chosen by the client, and a terminal would interpret control characters.
  return `${new Date(date).toISOString()} ${showControls(text)}\n`;
}
