import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { TestRecord } from '../../src/testing/batches.ts';
import { Enricher } from '../../src/writer/enrich/enricher.ts';
import { openGeo } from '../../src/writer/enrich/geo.ts';

const LINE =
  /^(\S+) \S+ (\S+) \[(\d+)\/May\/2015:(\d+):(\d+):(\d+) \+0000\] "(\S+) (\S+) (\S+)" (\d+) (\d+|-) "([^"]*)" "([^"]*)"$/;

/**
 * Returns the requests of the log in `data/`, as its site would have stored them, without its damaged line.
 */
export function realLog(): TestRecord[] {
  const text = gunzipSync(readFileSync(new URL('data/access-2015.log.gz', import.meta.url))).toString();
  const enricher = new Enricher(openGeo(undefined));
  return text.split('\n').flatMap((line) => {
    const found = LINE.exec(line);
    if (!found) return [];
    const [
      remoteAddr,
      user,
      day,
      hour,
      minute,
      second,
      method,
      target,
      protocol,
      status,
      bytes,
      referrer,
      agent,
    ] = found.slice(1) as Fields;
    const { bot, ...client } = enricher.userAgent(agent);
    return {
      date: Date.UTC(2015, 4, +day, +hour, +minute, +second),
      ...{ remoteAddr, method, protocol, agent, bot, ...client },
      url: `http://semicomplete.com${target}`,
      serverName: 'semicomplete.com',
      username: orNull(user),
      referrer: orNull(referrer),
      status: Number(status),
      contentLength: bytes === '-' ? 0 : Number(bytes),
      country: enricher.locate(remoteAddr).country,
    };
  });
}

type Fields = [
  remoteAddr: string,
  user: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
  method: string,
  target: string,
  protocol: string,
  status: string,
  bytes: string,
  referrer: string,
  agent: string,
];

function orNull(text: string): string | null {
  return text === '-' ? null : text;
}
