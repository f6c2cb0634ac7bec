import { fitForEngines, TEXT_LIMITS } from '../text/text.ts';

/** Copied when this module is loaded, because an app's tests may replace the global function. */
const { stringify } = JSON;

/** Length of an `Extra`'s JSON without its two values. */
const EXTRA_FRAME = '{"routeParams":,"vars":}'.length;

/**
 * Returns the JSON of an `Extra`, or `''` if it is empty. Values that are too long are omitted.
 * @param keys JSON of the keys in summaries whose key is a closure, or `''`. They have a separate limit.
 * @param onVars Called with the reason if the app's vars were omitted.
 */
export function extraOf(
  routeParams: object | undefined,
  noted: object | undefined,
  keys: string,
  onVars: (error: unknown) => void,
): string {
  let room = TEXT_LIMITS.extra - EXTRA_FRAME;
  // An app may replace a parameter with any value, for example a circular object.
  const params = routeParams === undefined ? '' : jsonOf(routeParams, room, () => {});
  room -= params.length;
  const vars = noted === undefined ? '' : jsonOf(noted, room, onVars);
  if (vars === '' && keys === '') return params === '' ? '' : `{"routeParams":${params}}`;
  if (keys === '') return params === '' ? `{"vars":${vars}}` : `{"routeParams":${params},"vars":${vars}}`;
  const parts = [params && `"routeParams":${params}`, vars && `"vars":${vars}`, `"keys":${keys}`];
  return `{${parts.filter((part) => part !== '').join(',')}}`;
}

/**
 * Returns the JSON of an object. Returns `''` for an empty object, and calls `onFailure` for values that are
 * not an object in JSON or exceed `limit`.
 */
export function jsonOf(values: object, limit: number, onFailure: (error: unknown) => void): string {
  let json: string | undefined;
  try {
    const flat = flatJsonOf(values);
    if (flat !== undefined && flat.length <= limit) return flat;
    json = stringify(values);
  } catch (error) {
    onFailure(error);
    return '';
  }
  if (json === undefined || json === '{}') return '';
  if (json[0] !== '{') {
    onFailure(new TypeError('their toJSON does not return an object'));
    return '';
  }
  if (json.length <= limit) return json.includes('\\u') ? fitForEngines(json) : json;
  onFailure(new RangeError(`${json.length} characters of JSON exceed the limit of ${limit}`));
  return '';
}

/** Characters that JSON escapes. */
const ESCAPED = /["\\\0-\x1f\ud800-\udfff]/;

/**
 * Fast path for a flat object of plain texts, such as most route parameters. Takes half the time. Returns `''` for an empty object, and `undefined` for all others.
 */
function flatJsonOf(values: object): string | undefined {
  if (Array.isArray(values) || 'toJSON' in values) return undefined;
  let json = '';
  for (const name in values) {
    const value = (values as Record<string, unknown>)[name];
    if (typeof value !== 'string' || !Object.hasOwn(values, name)) return undefined;
    if (ESCAPED.test(name) || ESCAPED.test(value)) return undefined;
    json += `${json === '' ? '{' : ','}"${name}":"${value}"`;
  }
  return json === '' ? '' : `${json}}`;
}
