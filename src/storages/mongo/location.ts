import { show, TrackUsageError } from '../../errors.ts';
import { ESCAPED, isAmbiguous } from '../../storage/server-url.ts';
import type { MongoOptions } from './options.ts';

const DEFAULT_DATABASE = 'usage';
export const DEFAULT_COLLECTION = 'usageTracking';
/** Pattern of a URL. It may list several servers, which Node's `URL` cannot parse. */
const URL_FORM =
  /^mongodb(\+srv)?:\/\/(?:[^/?#@]*@)?(?<hosts>[^/?#@]+)(?:\/(?<database>[^?#/]*))?(?:\?[^#]*)?$/s;
/** Pattern of a database name that MongoDB accepts on all platforms, including Windows. */
export const DATABASE_FORM = /^[^/\\. "$*<>:|?\0]{1,63}$/;

/** Returns the location that a URL names. The URL is passed to the driver unchanged. */
export function locationOfUrl(url: string, database: string | undefined, collection: string): MongoOptions {
  const { hosts, database: inUrl } = URL_FORM.exec(url)?.groups ?? {};
  // The message omits the URL, which may contain a password.
  if (!hosts || isAmbiguous(url)) throw wrongServer('an invalid URL');
  const name = database ?? (decoded(inUrl ?? '') || DEFAULT_DATABASE);
  if (!DATABASE_FORM.test(name)) throw wrongServer(`a URL with the database ${show(name)}`);
  return { url, database: name, collection, label: `mongodb://${hosts}/${name}.${collection}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function wrongServer(value: string): TrackUsageError {
  return new TrackUsageError('OPTION_INVALID', {
    name: 'server',
    value,
    expected: `a URL such as "mongodb://user:password@localhost:27017/usage" ${ESCAPED}, or a MongoClient or Db of mongodb`,
  });
}
