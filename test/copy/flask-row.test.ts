import { describe, expect, test } from 'vitest';
import { dateOf } from '../../src/copy/flask/date.ts';
import { rowOfFlask } from '../../src/copy/flask/row.ts';
import { HOSTILE_TEXTS } from '../../src/testing/hostile.ts';
import { TEXT_LIMITS } from '../../src/text/text.ts';

const AT = Date.UTC(2017, 2, 26, 1, 30, 5);

describe('dates', () => {
  test.each([
    ['2017-03-26 01:30:05', AT],
    ['2017-03-26 01:30:05.123456', AT + 123],
    ['2017-03-26T01:30:05Z', AT],
    ['2017-03-26 03:30:05+02', AT],
    ['2017-03-26 03:30:05.5+02:00', AT + 500],
    ['2017-03-25 20:00:05-05:30', AT],
    ['2017-03-26', Date.UTC(2017, 2, 26)],
    [new Date(AT), AT],
    [AT / 1000, AT],
    [AT, AT],
    [String(AT / 1000), AT],
    ['0000-00-00 00:00:00', 0],
    ['infinity', 0],
    ['0044-03-15 12:00:00 BC', 0],
    ['9999-12-31 23:59:59', 0],
    [new Date(Number.NaN), 0],
    [-5, 0],
    [{}, 0],
    ['', 0],
    [null, 0],
    [undefined, 0],
  ])('%j', (value, ms) => expect(dateOf(value)).toBe(ms));
});

describe('a row', () => {
  test('can hold anything', () => {
    const odd = [
      ...HOSTILE_TEXTS,
      '\0',
      '\ud800',
      7,
      -1,
      Infinity,
      Number.NaN,
      2n,
      true,
      [1],
      { a: 1 },
      Buffer.of(255),
    ];
    const columns =
      'url path status speed content_length datetime remote_addr xforwardedfor authorization username blueprint view_args track_var ip_info user_agent ua_browser ua_version request server_name'.split(
        ' ',
      );
    for (const value of odd) {
      const record = rowOfFlask(Object.fromEntries(columns.map((column) => [column, value])), 'shop');
      for (const each of Object.values(record)) {
        if (typeof each === 'number') expect(Number.isSafeInteger(each) && each >= 0).toBe(true);
        else if (each !== null) expect(each.isWellFormed() && !each.includes('\0')).toBe(true);
      }
      expect(record.status).toBeLessThan(1_000);
    }
  });

  test('can hold text as bytes; invalid bytes are ignored', () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const row = {
      url: bytes('/é'),
      datetime: bytes('2017-03-26 01:30:05'),
      track_var: bytes('{"plan":"gold"}'),
    };
    expect(rowOfFlask(row, 'shop')).toMatchObject({ url: '/é', ms: AT, extra: '{"vars":{"plan":"gold"}}' });
    const binary = Uint8Array.of(255, 254);
    expect(rowOfFlask({ url: binary, path: '/a', username: binary, status: binary }, 'shop')).toMatchObject({
      url: '/a',
      username: null,
      status: 0,
    });
  });

  test('is truncated like a request, and two long URLs stay distinct', () => {
    const [one, other] = ['a', 'b'].map(
      (end) => rowOfFlask({ url: `/${'x'.repeat(9_000)}${end}` }, 'shop').url,
    );
    expect(one).toHaveLength(TEXT_LIMITS.url);
    expect(one).not.toBe(other);
    const { extra } = rowOfFlask(
      { view_args: { long: 'x'.repeat(20_000) }, track_var: { plan: 'gold' } },
      'shop',
    );
    expect(extra).toBe('{"vars":{"plan":"gold"}}');
  });

  test('stores no secret of its URL', () => {
    const { url } = rowOfFlask({ url: 'http://jane:secret@localhost/?token=secret&x=1' }, 'shop');
    expect(url).toBe('http://localhost/?token=REDACTED&x=1');
  });

  test('takes method and protocol from its access log line', () => {
    const line =
      '127.0.0.1 - - [26/Mar/2017:01:30:05 ] "PUT http://localhost/a HTTP/1.0" 200 7 "http://localhost/a" "curl/8"';
    expect(rowOfFlask({ apache_combined_log: line }, 'shop')).toMatchObject({
      method: 'PUT',
      protocol: 'HTTP/1.0',
    });
    expect(rowOfFlask({ apache_combined_log: 'x' }, 'shop')).toMatchObject({ method: '-', protocol: '-' });
  });

  test.each([true, 1, 't', '1'])('has credentials with the authorization %j', (authorization) => {
    expect(rowOfFlask({ authorization }, 'shop').authorization).toBe(1);
  });
});
