import type { RecordRow } from '../storages/record-row.ts';
import { COUNTRY_PATHS, placeInAnswer } from '../writer/geo-answer.ts';

/** A row of Flask-Track-Usage's table `flask_usage`, by the names of its columns. */
export type FlaskRow = Record<string, unknown>;

/** A document of its collection, or a row of its table, as a record. What it did not keep is `-` or `null`. */
export function rowOfFlask(row: FlaskRow, site: string): RecordRow {
  const agent = objectOf(row.user_agent);
  const of = (name: string) => text(agent[name] ?? row[`ua_${name}`]);
  const [browser, version, platform] = [of('browser'), of('version'), of('platform')];
  const [method = '-', , protocol = '-'] =
    (text(row.request) ?? '').match(/^(\S+) (.*) (\S+)$/s)?.slice(1) ?? [];
  const { country, geo } = placeOf(row.ip_info);
  const extra = {
    ...filled('routeParams', objectOf(row.view_args)),
    ...filled('vars', objectOf(row.track_var)),
    ...filled('geo', geo),
  };
  return {
    ms: dateOf(row.datetime ?? row.date),
    site,
    server_name: text(row.server_name) ?? site,
    method,
    url: text(row.url) ?? text(row.path) ?? '/',
    route: null,
    protocol,
    status: Number(row.status) || 0,
    content_length: Number(row.content_length) || 0,
    duration: Math.round((Number(row.speed) || 0) * 1e6),
    remote_addr: text(row.remote_addr),
    forwarded_for: text(row.xforwardedfor),
    user_agent: text(agent.string) ?? agentOf(browser, version, platform),
    browser,
    version,
    platform,
    language: of('language'),
    referrer: null,
    username: text(row.username),
    authorization: row.authorization === true || Number(row.authorization) === 1 ? 1 : 0,
    visitor: text(objectOf(row.track_var).visitor) ?? text(row.visitor_id),
    country,
    bot: 0,
    blueprint: text(row.blueprint),
    extra: Object.keys(extra).length === 0 ? null : JSON.stringify(extra),
  };
}

/** Its tables hold no string of the user agent: what they hold of it, in the form of one. */
function agentOf(browser: string | null, version: string | null, platform: string | null): string | null {
  if (browser === null) return null;
  return `${browser}${version === null ? '' : `/${version}`}${platform === null ? '' : ` (${platform})`}`;
}

/** It stores UTC without saying so. */
function dateOf(value: unknown): number {
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'number') return value * 1000;
  const iso = String(value).replace(' ', 'T');
  const ms = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(iso) ? iso : `${iso}Z`);
  return Number.isNaN(ms) ? 0 : ms;
}

/** JSON that was cut at the column's length is none, and told nothing. */
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

function placeOf(info: unknown) {
  const answer = objectOf(info);
  if (Object.keys(answer).length === 0) return { country: null, geo: null };
  try {
    return placeInAnswer(JSON.stringify(answer), COUNTRY_PATHS);
  } catch {
    return { country: null, geo: answer };
  }
}

function filled(name: string, value: Record<string, unknown> | null): Record<string, unknown> {
  return value === null || Object.keys(value).length === 0 ? {} : { [name]: value };
}

function text(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const whole = String(value).toWellFormed().replaceAll('\0', '\ufffd');
  return whole === '' ? null : whole;
}
