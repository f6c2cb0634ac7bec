import { fitForEngines, TEXT_LIMITS } from '../text/text.ts';

/** Of the engine: an app's tests may watch or replace it. */
const { stringify } = JSON;

/** What stands around two values in the JSON of an `Extra`. */
const EXTRA_FRAME = '{"routeParams":,"vars":}'.length;

/**
 * JSON of an `Extra`; `''` where there is nothing in it. What is too long is left out.
 * @param keys JSON of the keys in summaries whose key is a closure, or `''`; they have room of their own.
 * @param onVars Told why what the app noted was left out.
 */
export function extraOf(
  routeParams: object | undefined,
  noted: object | undefined,
  keys: string,
  onVars: (error: unknown) => void,
): string {
  let room = TEXT_LIMITS.extra - EXTRA_FRAME;
  // An app may replace a parameter by anything, such as a document that refers to itself.
  const params = routeParams === undefined ? '' : jsonOf(routeParams, room, () => {});
  room -= params.length;
  const vars = noted === undefined ? '' : jsonOf(noted, room, onVars);
  if (vars === '' && keys === '') return params === '' ? '' : `{"routeParams":${params}}`;
  if (keys === '') return params === '' ? `{"vars":${vars}}` : `{"routeParams":${params},"vars":${vars}}`;
  const parts = [params && `"routeParams":${params}`, vars && `"vars":${vars}`, `"keys":${keys}`];
  return `{${parts.filter((part) => part !== '').join(',')}}`;
}

/** `''` for an empty object, and for what is no object in JSON or longer than `limit`, of which `onFailure` is told. */
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
    onFailure(new TypeError('their toJSON gives no object'));
    return '';
  }
  if (json.length <= limit) return json.includes('\\u') ? fitForEngines(json) : json;
  onFailure(new RangeError(`${json.length} characters of JSON, at most ${limit} fit`));
  return '';
}

/** What JSON writes in another way than it is. */
const ESCAPED = /["\\\0-\x1f\ud800-\udfff]/;

/**
 * The same in half the time for an object of plain texts, as route parameters usually are; `''` for an empty one,
 * `undefined` for all others.
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
