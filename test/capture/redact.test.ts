import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anonymizeForwarded, anonymizeIp } from '../../src/capture/anonymize.ts';
import { cleanReferrer, createRedactor } from '../../src/capture/redact.ts';
import { SECRET_NAMES } from '../../src/capture/secret-names.ts';
import { withoutUsers } from '../../src/capture/url-users.ts';

const redact = createRedactor();

describe('createRedactor', () => {
  test.each([
    // Nothing to redact
    ['', ''],
    ['/', '/'],
    ['*', '*'],
    ['/users/token/42', '/users/token/42'],
    ['/@user', '/@user'],
    ['/?', '/?'],
    ['/?token', '/?token'],
    ['/?token=', '/?token='],
    ['/?token=&page=2', '/?token=&page=2'],
    ['/?tokens=5&keyboard=de&monkey=1&encode=x', '/?tokens=5&keyboard=de&monkey=1&encode=x'],
    ['/?q=token&sort=key', '/?q=token&sort=key'],
    ['/?q=a%20b+c&q=%zz&%=%&=x&&', '/?q=a%20b+c&q=%zz&%=%&=x&&'],
    ['/#token', '/#token'],
    // In the query
    ['/?token=abc', '/?token=REDACTED'],
    ['/?page=2&token=abc&sort=asc', '/?page=2&token=REDACTED&sort=asc'],
    ['/?token=abc&token=def', '/?token=REDACTED&token=REDACTED'],
    ['/?token=a=b==&x=1', '/?token=REDACTED&x=1'],
    ['/?token=a?b/c&x=1', '/?token=REDACTED&x=1'],
    ['/?password=%zz%', '/?password=REDACTED'],
    ['https://example.org/cb?code=abc&state=xyz', 'https://example.org/cb?code=REDACTED&state=xyz'],
    // Spellings of a name
    ['/?TOKEN=abc', '/?TOKEN=REDACTED'],
    ['/?access_token=1', '/?access_token=REDACTED'],
    ['/?accessToken=1', '/?accessToken=REDACTED'],
    ['/?Access-Token=1', '/?Access-Token=REDACTED'],
    ['/?X-Amz-Signature=1', '/?X-Amz-Signature=REDACTED'],
    ['/?%74oken=abc', '/?%74oken=REDACTED'],
    ['/?%74%6F%6b%65%6E=abc', '/?%74%6F%6b%65%6E=REDACTED'],
    ['/?token%20=abc&+token=abc', '/?token%20=REDACTED&+token=REDACTED'],
    ['/?api+key=abc', '/?api+key=REDACTED'],
    // Nested names
    ['/?user[password]=abc', '/?user[password]=REDACTED'],
    ['/?user%5Bpassword%5D=abc', '/?user%5Bpassword%5D=REDACTED'],
    ['/?filter.token=abc', '/?filter.token=REDACTED'],
    ['/?token[]=a&token[0]=b', '/?token[]=REDACTED&token[0]=REDACTED'],
    ['/?token.1st=a&q={"token.1st":"a"}', '/?token.1st=a&q={"token.1st":"a"}'],
    ['/?token[user]=a&session.page=3', '/?token[user]=a&session.page=3'],
    // Names without a value, and malformed encodings
    ['/?token&page=2', '/?token&page=2'],
    ['/?a&token=abc', '/?a&token=REDACTED'],
    ['/?%&token=abc', '/?%&token=REDACTED'],
    ['/?%2574oken=a?b', '/?%2574oken=REDACTED'],
    ['/?path//=bob@example.org', '/?path//=bob@example.org'],
    // Separators
    ['/?q=a\u0126token=abc', '/?q=a\u0126token=abc'],
    ['/?a=1&token=abc#top', '/?a=1&token=REDACTED#top'],
    ['/?a=1;token=abc;b=2', '/?a=1;token=REDACTED;b=2'],
    ['/?password=a;b&c=1', '/?password=REDACTED&c=1'],
    ['/?token=;a=1', '/?token=;a=1'],
    // Fragments
    ['/?token=abc#top', '/?token=REDACTED#top'],
    ['/?a=1#b?c', '/?a=1#b?c'],
    ['/#access_token=abc&token_type=bearer', '/#access_token=REDACTED&token_type=bearer'],
    ['/#/reset?token=abc', '/#/reset?token=REDACTED'],
    ['/#!token=abc', '/#!token=REDACTED'],
    ['/#token=a#b', '/#token=REDACTED'],
    ['/#token=a?b', '/#token=REDACTED'],
    ['/?x=1#id_token=a#b', '/?x=1#id_token=REDACTED'],
    // Path parameters
    ['/shop;jsessionid=abc', '/shop;jsessionid=REDACTED'],
    ['/shop;jsessionid=abc/cart;v=1?page=2', '/shop;jsessionid=REDACTED/cart;v=1?page=2'],
    ['/a;b;c=1?token=x;d=2', '/a;b;c=1?token=REDACTED;d=2'],
    // URLs within values
    ['/login?next=/cb?code=abc&x=1', '/login?next=/cb?code=REDACTED&x=1'],
    [
      '/login?next=%2Fcb%3Fcode%3Dabc%26page%3D2%23top&x=1',
      '/login?next=%2Fcb%3Fcode%3DREDACTED%26page%3D2%23top&x=1',
    ],
    ['/?next=a%3fTOKEN%3d', '/?next=a%3fTOKEN%3d'],
    ['/?next=%252Fl%253Ftoken%253Dabc%2526page%253D2', '/?next=%252Fl%253Ftoken%253DREDACTED%2526page%253D2'],
    // Characters that are encoded more often than the equals sign are part of the value
    ['/?next=%2Fl%3Ftoken%3Da%2526b%26c%3D1', '/?next=%2Fl%3Ftoken%3DREDACTED%26c%3D1'],
    ['/?a=%23token=abc', '/?a=%23token=REDACTED'],
    ['/?a=%26token=abc&b=1', '/?a=%26token=REDACTED&b=1'],
    ['/?a=1%26token=abc', '/?a=1%26token=REDACTED'],
    ['/?a=1%3Btoken%3Dabc', '/?a=1%3Btoken%3DREDACTED'],
    ['/?a=token=abc', '/?a=token=REDACTED'],
    ['/?a=b==', '/?a=b=='],
    // Separators that are encoded, or decoded once too often
    ['/?token%3Dabc', '/?token%3DREDACTED'],
    ['/?a=1&token%3dabc&b=2', '/?a=1&token%3dREDACTED&b=2'],
    ['/?token%253Dabc', '/?token%253DREDACTED'],
    ['/?a%3D1=2', '/?a%3D1=2'],
    ['/?tok%65n%3d=abc', '/?tok%65n%3d=REDACTED'],
    ['/?%2574oken=abc', '/?%2574oken=REDACTED'],
    ['/?token%00=abc&%00token=abc', '/?token%00=REDACTED&%00token=REDACTED'],
    ['/?%E2%80%8Btoken=abc', '/?%E2%80%8Btoken=REDACTED'],
    ['/?ｔｏｋｅｎ=abc', '/?ｔｏｋｅｎ=REDACTED'],
    ['/login%3Ftoken=abc', '/login%3Ftoken=REDACTED'],
    ['/cb%23access_token%3Dabc%26x%3D1?page=2', '/cb%23access_token%3DREDACTED%26x%3D1?page=2'],
    // User info of URLs within values
    ['/?u=https://bob:abc@example.org/&x=1', '/?u=https://example.org/&x=1'],
    // Without a parameter name, as for image proxies
    ['/?https://bob:abc@example.org/', '/?https://example.org/'],
    ['/?https%3A%2F%2Fbob%3Aabc%40example.org%2F&x', '/?https%3A%2F%2Fexample.org%2F&x'],
    ['/?x&https%253A%252F%252Fbob%253Aabc%2540example.org', '/?x&https%253A%252F%252Fexample.org'],
    ['/?https%3A//bob=abc@example.org/', '/?https%3A//example.org/'],
    ['/?https://bob:abc@example.org/a=1', '/?https://example.org/a=1'],
    ['/#https://bob:abc@example.org/', '/#https://example.org/'],
    ['/?{"token":"abc"}', '/?{"token":"REDACTED"}'],
    ['/?%7B%22token%22%3A%22abc%22%7D', '/?%7B%22token%22%3A%22REDACTED%22%7D'],
    ['/?bob@example.org&%22x%22&a%40b=1', '/?bob@example.org&%22x%22&a%40b=1'],
    ['/?u=https%3A%2F%2Fbob%3Aabc%40example.org%2Fa%40b', '/?u=https%3A%2F%2Fexample.org%2Fa%40b'],
    ['/?u=https%253A%252F%252Fbob%253Aabc%2540example.org', '/?u=https%253A%252F%252Fexample.org'],
    ['/?u=//bob:abc@example.org&v=a@b//c', '/?u=//example.org&v=a@b//c'],
    ['/?u=https%3A%2F%2Fexample.org%2Fa%40b', '/?u=https%3A%2F%2Fexample.org%2Fa%40b'],
    // JSON within values
    ['/?q={"password":"abc","page":2}', '/?q={"password":"REDACTED","page":2}'],
    ['/?q=%7B%22api_key%22:%20%22a%5C%22b%22%7D', '/?q=%7B%22api_key%22:%20%22REDACTED%22%7D'],
    ['/?q={"user":{"pin":1234}}', '/?q={"user":{"pin":REDACTED}}'],
    ['/?q={"name":"token","token":""}', '/?q={"name":"token","token":""}'],
    ['/?q={"a":{"token":["abc",{"b":"]"}]},"page":[2]}', '/?q={"a":{"token":REDACTED},"page":[2]}'],
    [
      '/?q=%7B%22token%22%3A%7B%22v%22%3A%22%7D%22%7D%2C%22b%22%3A1%7D',
      '/?q=%7B%22token%22%3AREDACTED%2C%22b%22%3A1%7D',
    ],
    ['/?q={"token":["abc","def', '/?q={"token":REDACTED'],
    ['/?q={"token":[],"page":2}', '/?q={"token":REDACTED,"page":2}'],
    [
      '/?q="{\\"token\\":\\"a\\\\\\"b\\\\\\\\\\",\\"page\\":2}"',
      '/?q="{\\"token\\":\\"REDACTED\\",\\"page\\":2}"',
    ],
    [
      '/?q=%5C%22token%5C%22%3A%5C%22abc%5C%22%2C%5C%22b%5C%22',
      '/?q=%5C%22token%5C%22%3A%5C%22REDACTED%5C%22%2C%5C%22b%5C%22',
    ],
    ['/?q={"token":"a\\\\","page":2}', '/?q={"token":"REDACTED","page":2}'],
    ['/?q={"to\\u006ben":"abc"}', '/?q={"to\\u006ben":"REDACTED"}'],
    ['/?q=%7B%22to%5Cu006Ben%22%3A%22abc%22%7D', '/?q=%7B%22to%5Cu006Ben%22%3A%22REDACTED%22%7D'],
    ['/?q=say "token": then', '/?q=say "token": REDACTED'],
    ['/?q="token","abc":]["token":,"x"', '/?q="token","abc":]["token":,"x"'],
    // White space between a name and its value
    ['/?q={"token" : \t"abc"}', '/?q={"token" : \t"REDACTED"}'],
    ['/?q={"token"+:+"abc"}', '/?q={"token"+:+"REDACTED"}'],
    ['/?q={"token"%20:%20"abc"}', '/?q={"token"%20:%20"REDACTED"}'],
    ['/?q={"token"%0A:%0d"abc"}', '/?q={"token"%0A:%0d"REDACTED"}'],
    ['/?q=%22token%22%09%3A%0A%22abc%22', '/?q=%22token%22%09%3A%0A%22REDACTED%22'],
    [
      '/?q=%2522token%2522%2520%253A%2520%2522abc%2522',
      '/?q=%2522token%2522%2520%253A%2520%2522REDACTED%2522',
    ],
    // Several secrets in one value
    [
      '/?next=%2Fcb%3Fcode%3Da%26token%3Db%26c%3D1',
      '/?next=%2Fcb%3Fcode%3DREDACTED%26token%3DREDACTED%26c%3D1',
    ],
    ['/?q={"pin":1,"token":"a","page":2}', '/?q={"pin":REDACTED,"token":"REDACTED","page":2}'],
    ['/?a=token%3Dabc', '/?a=token%3DREDACTED'],
    ['%3Ftoken=abc', '%3Ftoken=REDACTED'],
    // User info of URLs within paths
    ['/proxy/https://bob:abc@example.org/a', '/proxy/https://example.org/a'],
    ['/proxy/https:/bob:abc@example.org/', '/proxy/https:/example.org/'],
    ['/proxy/https%3A%2F%2Fbob%3Aabc%40example.org%2F?x', '/proxy/https%3A%2F%2Fexample.org%2F?x'],
    ['/proxy/https%253A%252F%252Fbob%253Aabc%2540example.org', '/proxy/https%253A%252F%252Fexample.org'],
    ['https://example.org/https://bob:abc@example.com/', 'https://example.org/https://example.com/'],
    ['/npm/https://example.org/@scope/a@1', '/npm/https://example.org/@scope/a@1'],
    ['/npm//@scope/a@1', '/npm//@scope/a@1'],
    ['/proxy/s3://bob:abc@example.org/', '/proxy/s3://example.org/'],
    ['/proxy/_://bob@example.org', '/proxy/_://bob@example.org'],
    ['a//b:c@d', 'a//b:c@d'],
    // Parsers of web URLs accept any number of slashes
    ['/?u=http:/bob:abc@example.org', '/?u=http:/example.org'],
    ['/?u=http:bob:abc@example.org', '/?u=http:example.org'],
    ['/?u=HTTPS%3A%5Cbob%3Aabc%40example.org', '/?u=HTTPS%3A%5Cexample.org'],
    ['/?u=http:////bob:abc@example.org', '/?u=http:////example.org'],
    ['/?u=redis:/a/b@c', '/?u=redis:/a/b@c'],
    ['/?u=http:%2Fbob:abc@example.org', '/?u=http:%2Fexample.org'],
    ['/?u=https://bob@/x@example.org', '/?u=https:///example.org'],
    ['/?u=a/b@c', '/?u=a/b@c'],
    ['/?q=httpx:bob@example.org', '/?q=httpx:bob@example.org'],
    ['/?q=http:/ see bob@example.org', '/?q=http:/ see bob@example.org'],
    ['/?q=http: see bob@example.org', '/?q=http: see bob@example.org'],
    // White space is part of the user info only after slashes, or if it is encoded once more than the URL
    ['/?u=https://bob:a b@example.org', '/?u=https://example.org'],
    ['/?u=postgres://bob:a b@db', '/?u=postgres://db'],
    ['/?u=http:bob:a%20b@example.org', '/?u=http:example.org'],
    ['/?u=https://http:abc@example.org', '/?u=https://example.org'],
    // A slash within a password
    ['/?u=https://bob:a//b@example.org', '/?u=https://example.org'],
    ['/?u=postgres://a:b:1/x@db/', '/?u=postgres://db/'],
    ['/?u=postgres://bob:[a/b@db/x', '/?u=postgres://db/x'],
    ['/?u=postgres://bob:123456/x@db', '/?u=postgres://db'],
    ['/?u=postgres://bob:a%40%2Fb@db/x', '/?u=postgres://db/x'],
    ['/?u=https://example.org:65535/a@b', '/?u=https://example.org:65535/a@b'],
    ['/?u=https%3A%2F%2F%5B%3A%3A1%5D%3A80%2Fa%40b', '/?u=https%3A%2F%2F%5B%3A%3A1%5D%3A80%2Fa%40b'],
    ['/proxy/0123456789/https://[::1]:80/a@b', '/proxy/0123456789/https://[::1]:80/a@b'],
    ['/?u=postgres://bob:a/bc@db/x@y', '/?u=postgres://db/x@y'],
    ['/?u=postgres://bob:a%2Fbc@db/x', '/?u=postgres://db/x'],
    ['/?u=postgres%3A%2F%2Fbob%3Aa%252Fbc%40db', '/?u=postgres%3A%2F%2Fdb'],
    ['/?u=postgres://bob:12%2Fbc@db/x', '/?u=postgres://db/x'],
    ['/?u=https://a:b@c@example.org', '/?u=https://example.org'],
    ['/?u=https://example.org:8080/a@b', '/?u=https://example.org:8080/a@b'],
    [
      '/?u=https://[::1]:80/a@b&v=http://[2001:db8::1]/a@b',
      '/?u=https://[::1]:80/a@b&v=http://[2001:db8::1]/a@b',
    ],
    [
      '/?q={"u":"https://a:b/c","mail":"bob@example.org"}',
      '/?q={"u":"https://a:b/c","mail":"bob@example.org"}',
    ],
    // User info
    ['http://user:pass@example.org/', 'http://example.org/'],
    ['https://user@example.org/a@b?c=d@e', 'https://example.org/a@b?c=d@e'],
    ['https://a:b@c@example.org?token=x', 'https://example.org?token=REDACTED'],
    ['https:\\\\user:pass@example.org/', 'https:\\\\example.org/'],
    ['https:/user:pass@example.org/', 'https:/example.org/'],
    ['https://example.org/user:pass@host/', 'https://example.org/user:pass@host/'],
    ['//user:pass@host/', '//user:pass@host/'],
    ['/?mail=a@example.org', '/?mail=a@example.org'],
    ['android-app://org.example.app/', 'android-app://org.example.app/'],
  ])('redacts %s', (url, expected) => {
    expect(redact(url)).toBe(expected);
  });

  test('a referrer names an authority also where it begins with slashes', () => {
    expect(cleanReferrer(redact, '//bob:abc@example.org/?token=x')).toBe('//example.org/?token=REDACTED');
    expect(cleanReferrer(redact, '\\\\bob:abc@example.org/')).toBe('\\\\example.org/');
    expect(cleanReferrer(redact, '/a@b')).toBe('/a@b');
    expect(cleanReferrer(redact, 'mailto:bob@example.org//')).toBe('mailto:bob@example.org//');
  });

  test.each([
    // In a text that is no URL, a query or a fragment ends the authority too.
    ['http://example.org?a@b', 'http://example.org?a@b'],
    ['http://example.org#a@b', 'http://example.org#a@b'],
    ['http%3A%2F%2Fexample.org%3Fa%40b', 'http%3A%2F%2Fexample.org%3Fa%40b'],
    ['http%3A%2F%2Fexample.org%23a%40b', 'http%3A%2F%2Fexample.org%23a%40b'],
    ['postgres://bob:a?b@db', 'postgres://db'],
    ['postgres://bob:a#b@db', 'postgres://db'],
    ['see http://bob:abc@a.example and //bob@b.example', 'see http://a.example and //b.example'],
  ])('removes the user info of URLs in the text %s', (text, expected) => {
    expect(withoutUsers(text, false)).toBe(expected);
  });

  test('redacts secrets within values that are encoded any number of times', () => {
    const encode = (text: string, times: number): string =>
      times === 0 ? text : encode(encodeURIComponent(text), times - 1);
    const word = fc.string({ unit: fc.constantFrom(...'abcxyz019-_.~/'), minLength: 1, maxLength: 6 });
    const inner = fc.oneof(
      fc.tuple(word, word).map(([start, end]) => `/${start}?page=1&token=S3CRET&${end}=2`),
      word.map((name) => `https://bob:S3CRET@example.org/${name}?x=1`),
      word.map((name) => `#access_token=S3CRET&q=${name}`),
      word.map((name) => `{"q":"${name}","password":"S3CRET"}`),
    );
    fc.assert(
      fc.property(inner, word, fc.nat(3), fc.nat(3), (value, name, inside, outside) => {
        // Slashes in a name may start a URL.
        fc.pre(!name.includes('//'));
        // The value of a parameter of a URL, which is itself a value.
        const next = `/l?q${name}=${encode(value, inside + 1)}&page=3`;
        const url = `/?next=${encode(next, outside + 1)}&last=4`;
        const clean = redact(url);
        expect(clean).not.toContain('S3CRET');
        expect(clean.endsWith('&last=4')).toBe(true);
        let decoded = clean.slice('/?next='.length, -'&last=4'.length);
        for (let i = 0; i <= outside; i++) decoded = decodeURIComponent(decoded);
        expect(decoded.startsWith(`/l?q${name}=`) && decoded.endsWith('&page=3')).toBe(true);
        expect(redact(clean)).toBe(clean);
      }),
      { numRuns: 2_000 },
    );
  });

  test('redacts secrets in JSON that is escaped and encoded any number of times', () => {
    const repeat = (text: string, times: number, change: (text: string) => string): string =>
      times === 0 ? text : repeat(change(text), times - 1, change);
    const word = fc.string({ unit: fc.constantFrom(...'abxyz019 -_.:,[]{}"\\/é'), maxLength: 6 });
    const secret = word.map((text) => `${text}S3CRET${text}`);
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        secret,
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(word, tie('any'), { maxKeys: 3 }),
      ),
    })).any;
    const name = fc.constantFrom('token', 'user[password]', 'to\\u006ben', 'API-Key');
    fc.assert(
      fc.property(word, name, value, fc.nat(2), fc.nat(3), (text, key, hidden, escapes, encodings) => {
        const json = `{"q":${JSON.stringify(text)},"${key}":${JSON.stringify(hidden)},"page":${JSON.stringify(text)}}`;
        const escaped = repeat(json, escapes, JSON.stringify);
        const url = `/?a=${repeat(escaped, encodings + 1, encodeURIComponent)}&last=4`;
        const clean = redact(url);
        expect(clean).not.toContain('S3CRET');
        expect(redact(clean)).toBe(clean);
        // The rest is unchanged.
        const from = url.lastIndexOf('page');
        expect(clean.endsWith(url.slice(from))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('redacts passwords in URLs anywhere, encoded any number of times', () => {
    const encode = (text: string, times: number): string =>
      times === 0 ? text : encode(encodeURIComponent(text), times - 1);
    const scheme = fc.constantFrom('https://', 'http:/', 'ws:', 'ftp:\\\\', 'postgres://', 'redis+tls://');
    const user = fc.constantFrom('bob', '', 'a+b', 'a:b', 'a%3Ab');
    const part = fc.string({ unit: fc.constantFrom(...'ab01+=-_.~:@/%'), maxLength: 4 });
    const start = fc.constantFrom('/?u=', '/?', '/proxy/', '/#', 'https://example.org/', '/?q="x" ');
    fc.assert(
      fc.property(start, scheme, user, part, fc.nat(3), (before, protocol, name, rest, times) => {
        // Encoded as URLs require, and with unencoded slashes.
        for (const password of [encodeURIComponent(rest), rest.replace(/[:@%]/g, '')]) {
          const inner = `${protocol}${name}:x${password}S3CRET@example.com:80/a`;
          const clean = redact(`${before}${encode(inner, times)}`);
          expect(clean).toBe(`${before}${encode(`${protocol}example.com:80/a`, times)}`);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('replaces the default names with custom names', () => {
    const redactCustom = createRedactor(['Höhe', 'my-word', 'a.b', '$x', '']);
    expect(redactCustom('/?h%C3%B6he=1&höhe=2&MyWord=3&x[my_word]=4&a.b=5&b.c=6&=7&token=8&%24X=9')).toBe(
      '/?h%C3%B6he=REDACTED&höhe=REDACTED&MyWord=REDACTED&x[my_word]=REDACTED&a.b=REDACTED&b.c=6&=7&token=8&%24X=REDACTED',
    );
    expect(createRedactor([])('/?token=1')).toBe('/?token=1');
  });

  test('has distinct default names', () => {
    const plain = SECRET_NAMES.map((name) => name.toLowerCase().replace(/[-_]/g, ''));
    expect([...new Set(plain)]).toEqual(plain);
  });

  /** Text with significant characters and words. */
  const hostile = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '?',
          '#',
          '&',
          ';',
          '=',
          '@',
          '%',
          '%3D',
          '%26',
          '%253D',
          '%40',
          '"',
          '%22',
          '\\',
          '{',
          '%5B',
          ' ',
          ':',
          '%3f',
          '%74',
          '://',
          '/',
          '[',
          ']',
          '.',
          '+',
        ),
        fc.constantFrom('token', 'password', 'http', 'a', '_', '-', 'REDACTED', '\0', '\ud800', '\u001b[31m'),
        fc.string({ unit: 'binary', maxLength: 4 }),
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join(''));

  test('never throws, and is idempotent', () => {
    fc.assert(
      fc.property(hostile, (url) => {
        const once = redact(url);
        expect(redact(once)).toBe(once);
      }),
      { numRuns: 5_000 },
    );
  });

  test('redacts all secrets, and changes nothing else', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abcxyz019-_.~%+/'), maxLength: 8 });
    const harmless = fc.record({ name: word.map((name) => `q${name}z`), value: word });
    const secret = fc.record({
      name: fc
        .tuple(
          fc.constantFrom(...SECRET_NAMES),
          fc.constantFrom('', 'user', 'a.b'),
          fc.infiniteStream(fc.nat(3)),
        )
        .map(([name, parent, variants]) => {
          const spelling = respell(name, variants);
          return parent === '' ? spelling : `${parent}[${spelling}]`;
        }),
      value: word.map((value) => `S3CRET${value}`),
    });
    const parameters = fc.array(fc.oneof(harmless, secret), { minLength: 1, maxLength: 6 });
    const before = fc.constantFrom('/path', 'https://example.org/', 'https://user:S3CRET@example.org/x');
    fc.assert(
      fc.property(before, parameters, fc.constantFrom('?', '#', '#/x?'), (start, list, mark) => {
        const written = (value: (text: string) => string) =>
          `${start}${mark}${list.map(({ name, value: text }) => `${name}=${value(text)}`).join('&')}`;
        const expected = written((text) => (text.startsWith('S3CRET') ? 'REDACTED' : text));
        expect(redact(written((text) => text))).toBe(expected.replace('user:S3CRET@', ''));
      }),
      { numRuns: 2_000 },
    );
  });

  test('redacts any 64 KiB within 0.3 s of CPU time', () => {
    const parts = [
      'a',
      '&',
      ';',
      '=',
      '@',
      '%',
      '?',
      '#',
      '.a=%3d&',
      '%zz=1&',
      'token=x;',
      ';a=',
      'x[',
      '%3d',
      '__=&',
      '%25',
      '%253d',
      '//',
      '//@',
      '%2F%2F@',
      '"a":"',
      '%22a%22:%22',
      '\\',
      '%5c',
      '\\"',
      '"token":[',
      '"token":["',
      '"token": ',
      '"token":\\',
      '{"a"',
      ' ',
      'http:',
      '//a:b/',
      'http:a:b/',
      ':',
    ];
    for (const part of parts) {
      for (const start of [
        '/',
        '/?',
        '/#',
        '/?a=',
        '/?token=',
        'http://',
        '/?next=%3D',
        '/%3F',
        '/?a="token":',
        '/?a="token":[',
        '/?a=@//a:b/',
        '/@http:',
      ]) {
        const url = start + part.repeat(65_536 / part.length);
        // CPU time, which the load of other processes hardly changes.
        const began = process.cpuUsage().user;
        redact(url);
        expect(process.cpuUsage().user - began).toBeLessThan(300_000);
      }
    }
  });
});

/** Returns another spelling of the same name. */
function respell(name: string, variants: Iterator<number>): string {
  let spelling = '';
  for (const letter of name) {
    const variant = variants.next().value;
    if (letter === '_' || letter === '-') spelling += ['_', '-', '', '%5F'][variant];
    else if (variant === 1) spelling += letter.toUpperCase();
    else if (variant === 2) spelling += `%${letter.charCodeAt(0).toString(16)}`;
    else spelling += letter;
  }
  return spelling;
}

describe('anonymizeIp', () => {
  test.each([
    ['192.0.2.129', '192.0.2.0'],
    ['10.0.0.0', '10.0.0.0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
    ['2001:DB8:0001:2::6', '2001:db8:1::'],
    ['2001:db8::6', '2001:db8::'],
    ['2001:0:db8::6', '2001:0:db8::'],
    ['::3:4:5:6:7:8', '0:0:3::'],
    ['0:0:0:0:0:0:0:1', '::'],
    ['::1', '::'],
    ['::', '::'],
    ['fe80::1%eth0', 'fe80::'],
    ['::ffff:192.0.2.129', '192.0.2.0'],
    ['::FFFF:c000:281', '192.0.2.0'],
    ['0:0:0:0:0:ffff:192.0.2.129', '192.0.2.0'],
    ['::192.0.2.129', '::'],
    ['64:ff9b::192.0.2.129', '64:ff9b::'],
    ['::ffff:0:192.0.2.129', '::'],
    ['', null],
    ['localhost', null],
    ['192.0.2', null],
    ['192.0.2.256', null],
    ['192.0.2.1:80', null],
    ['[::1]', null],
    ['2001:db8:::1', null],
    ["1.2.3.4'; DROP TABLE x", null],
  ])('anonymizes %s', (address, expected) => {
    expect(anonymizeIp(address)).toBe(expected);
  });

  test('returns an address or null for any text, and is idempotent', () => {
    const part = fc.constantFrom('1', '0', '255', 'ffff', 'DB8', ':', '::', '.', '%', 'x', ' ');
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.array(part, { maxLength: 20 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(text, (address) => {
        const masked = anonymizeIp(address);
        expect(masked === null).toBe(isIP(address) === 0);
        if (masked === null) return;
        expect(isIP(masked)).not.toBe(0);
        expect(anonymizeIp(masked)).toBe(masked);
      }),
      { numRuns: 2_000 },
    );
  });

  test('keeps exactly the first 48 bits, in canonical form', () => {
    const canonical = (address: string) => new SocketAddress({ address, family: 'ipv6' }).address;
    const isMapped = (address: string) => canonical(address).startsWith('::ffff:') && address.includes('.');
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        fc.pre(!isMapped(canonical(address)));
        const masked = anonymizeIp(address)!;
        expect(masked).toBe(canonical(masked));
        expect(bitsOf(masked)).toBe((bitsOf(canonical(address)) >> 80n) << 80n);
      }),
      { numRuns: 2_000 },
    );
  });

  test('returns the same address for one network, and different ones for different networks', () => {
    const group = fc.nat(0xffff).map((number) => number.toString(16));
    const groups = (length: number) =>
      fc.array(group, { minLength: length, maxLength: length }).map((list) => list.join(':'));
    fc.assert(
      fc.property(groups(3), groups(3), groups(5), groups(5), (network, other, host1, host2) => {
        const masked = anonymizeIp(`${network}:${host1}`);
        expect(anonymizeIp(`${network}:${host2}`)).toBe(masked);
        expect(anonymizeIp(`${other}:${host1}`) === masked).toBe(other === network);
      }),
    );
  });
});

/** Returns a canonical address as a number. */
function bitsOf(address: string): bigint {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [a * 256 + +b, c * 256 + +d].map((group) => group.toString(16)).join(':'),
  );
  const [head = '', tail] = hex.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const last = tail ?? [];
  const groups = [...head, ...new Array<string>(8 - head.length - last.length).fill('0'), ...last];
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

describe('anonymizeForwarded', () => {
  test.each([
    ['', ''],
    ['192.0.2.129', '192.0.2.0'],
    ['192.0.2.129,2001:db8::1 ,  10.1.2.3', '192.0.2.0, 2001:db8::, 10.1.2.0'],
    ['192.0.2.129:5000, [2001:db8::1]:443, "[2001:db8::1]", [::1]', '192.0.2.0, 2001:db8::, 2001:db8::, ::'],
    ['unknown, _hidden, 1.2.3, <script>', 'unknown, unknown, unknown, unknown'],
    [', ,,10.1.2.3,', '10.1.2.0'],
  ])('anonymizes the header "%s"', (header, expected) => {
    expect(anonymizeForwarded(header)).toBe(expected);
  });

  test('never throws, is idempotent, and limits the length', () => {
    const entry = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', ' ', '[', '"', ':'),
    );
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const once = anonymizeForwarded(entries.join(','));
        expect(anonymizeForwarded(once)).toBe(once);
      }),
    );
    expect(anonymizeForwarded('x,'.repeat(32_768)).length).toBeLessThan(1024);
  });
});
