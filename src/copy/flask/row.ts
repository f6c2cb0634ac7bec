import { pathOf } from '../../batch.ts';
import { createRedactor } from '../../capture/redact.ts';
import type { RecordRow } from '../../storage/record-row.ts';
import { cut, fitForEngines, TEXT_LIMITS } from '../../text/text.ts';
import { COUNTRY_PATHS, locationInResponse, MAX_GEO_LENGTH } from '../../writer/enrich/geo-response.ts';
import { campaignOf } from '../../writer/enrich/sources.ts';
import { dateOf } from './date.ts';

/** A row of Flask-Track-Usage's table, or a document of its collection, by column name. */
export type FlaskRow = Record<string, unknown>;

const { url: URL_LIMIT, agent: AGENT_LIMIT, acceptLanguage: SHORT } = TEXT_LIMITS;
/** Matches `GET http://localhost/ HTTP/1.1`, alone or in a line of an access log. */
const REQUEST = /^(?<method>\S+) .* (?<protocol>\S+)$/s;
const LOGGED = /\] "(?<method>[A-Z]+) .*? (?<protocol>HTTP\/[\d.]+)" \d/s;
/** Removes secrets, because Flask-Track-Usage stored URLs unredacted. */
const redacted = createRedactor();
const UTF8 = new TextDecoder('utf-8', { fatal: true });
/** Values for true, as returned by engines and their drivers. */
const TRUE: readonly unknown[] = [true, 1, '1', 't', 'true'];

/** Converts a row to a record. Missing values are `-`, 0 or `null`. */
export function rowOfFlask(given: FlaskRow, site: string): RecordRow {
  const row = withoutBytes(given);
  const agent = objectOf(row.user_agent);
  const agentPart = (name: string) => text(agent[name] ?? row[`ua_${name}`]);
  const [browser, version, platform] = ['browser', 'version', 'platform'].map(agentPart) as [
    string | null,
    string | null,
    string | null,
  ];
  const request =
    text(row.request, Infinity)?.match(REQUEST) ?? text(row.apache_combined_log, Infinity)?.match(LOGGED);
  const vars = objectOf(row.track_var);
  const url = cut(redacted(text(row.url, Infinity) ?? text(row.path, Infinity) ?? '/'), URL_LIMIT);
  const { country, geo } = locationOf(row.ip_info);
  return {
    ms: dateOf(row.datetime ?? row.date),
    site,
    server_name: text(row.server_name) ?? site,
    method: cut(request?.groups?.method ?? '-', TEXT_LIMITS.method),
    url,
    url_key: null,
    route: null,
    protocol: cut(request?.groups?.protocol ?? '-', TEXT_LIMITS.protocol),
    status: number(row.status, 999),
    content_length: number(row.content_length),
    duration: number(Number(row.speed) * 1e6),
    remote_addr: text(row.remote_addr, TEXT_LIMITS.remoteAddr),
    forwarded_for: text(row.xforwardedfor, TEXT_LIMITS.forwardedFor),
    user_agent: text(agent.string, AGENT_LIMIT) ?? agentOf(browser, version, platform),
    browser,
    version,
    platform,
    language: agentPart('language'),
    referrer: null,
    username: text(row.username, TEXT_LIMITS.username),
    authorization: TRUE.includes(row.authorization) ? 1 : 0,
    visitor: text(vars.visitor ?? row.visitor_id, TEXT_LIMITS.visitor),
    country,
    bot: 0,
    blueprint: text(row.blueprint, TEXT_LIMITS.blueprint),
    path: pathOf(url),
    referrer_host: null,
    campaign: campaignOf(url),
    device: null,
    class: null,
    received: null,
    extra: extraOf({ routeParams: objectOf(row.view_args), vars, geo }),
  };
}

/** Decodes text that an engine stored as bytes. Other bytes are dropped. */
function withoutBytes(row: FlaskRow): FlaskRow {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value instanceof Uint8Array ? decoded(value) : value]),
  );
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** Returns a user agent composed of the stored parts, if its string is missing. */
function agentOf(browser: string | null, version: string | null, platform: string | null): string | null {
  if (browser === null) return null;
  return `${browser}${version === null ? '' : `/${version}`}${platform === null ? '' : ` (${platform})`}`;
}

/** Parses JSON. JSON truncated at the column's length is invalid and counts as missing. */
function objectOf(value: unknown): Record<string, unknown> {
  let found = value;
  if (typeof value === 'string') {
    try {
      found = JSON.parse(value);
    } catch {
      return {};
    }
  }
  return typeof found === 'object' && found !== null && !Array.isArray(found)
    ? (found as Record<string, unknown>)
    : {};
}

function locationOf(info: unknown): { country: string | null; geo: Record<string, unknown> | null } {
  const answer = objectOf(info);
  try {
    return locationInResponse(JSON.stringify(answer), COUNTRY_PATHS);
  } catch {
    return { country: null, geo: JSON.stringify(answer).length > MAX_GEO_LENGTH ? null : answer };
  }
}

/** Returns the JSON of an `Extra`, or `null`. If the parts are too long together, the first ones are kept. */
function extraOf(parts: Record<string, Record<string, unknown> | null>): string | null {
  let room = TEXT_LIMITS.extra;
  const kept: string[] = [];
  for (const [name, value] of Object.entries(parts)) {
    const json = fitForEngines(JSON.stringify(value ?? {}));
    const entry = `"${name}":${json}`;
    if (json === '{}' || entry.length + ','.length > room) continue;
    room -= entry.length + ','.length;
    kept.push(entry);
  }
  return kept.length === 0 ? null : `{${kept.join(',')}}`;
}

/** Returns an integer from 0 to `most`. */
function number(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  const whole = Math.round(Number(value));
  return whole >= 0 && whole <= most ? whole : 0;
}

/** Returns text that every engine can store, as in capture. */
function text(value: unknown, limit: number = SHORT): string | null {
  if (value === null || value === undefined) return null;
  const whole = String(value).toWellFormed().replaceAll('\0', '\ufffd');
  return whole === '' ? null : cut(whole, limit);
}
