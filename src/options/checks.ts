import { show, TrackUsageError } from '../errors.ts';

/** Throws for unknown names in an options object, so that a misspelled option is not silently ignored. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TrackUsageError('OPTION_INVALID', {
      name: where,
      value: show(options),
      expected: 'an object of options',
    });
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new TrackUsageError('OPTION_UNKNOWN', { name, where, known: known.join(', ') });
    }
  }
}

/** Throws for an invalid value, unless it is undefined. */
export function checkOption(name: string, value: unknown, valid: boolean, expected: string): void {
  if (value !== undefined && !valid) {
    throw new TrackUsageError('OPTION_INVALID', { name, value: show(value), expected });
  }
}

export function isWholeNumber(value: unknown, min: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min;
}

export function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/** Reads a boolean from the environment, in the spellings of Flask-Track-Usage: `True`, `true`, `1`. */
export function switchFromEnvironment(name: string, environment = process.env): boolean | undefined {
  const value = environment[name]?.trim().toLowerCase();
  if (value === undefined || value === '') return undefined;
  if (['true', '1', 'yes', 'on'].includes(value)) return true;
  if (['false', '0', 'no', 'off'].includes(value)) return false;
  throw new TrackUsageError('OPTION_INVALID', { name, value: show(value), expected: '"True" or "False"' });
}
