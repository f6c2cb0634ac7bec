import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { campaignOf, hostOf } from '../../src/writer/enrich/sources.ts';

describe('hostOf', () => {
  test.each([
    ['https://www.Example.ORG/a?b=https://other.net/', 'example.org'],
    ['http://example.org:8080', 'example.org'],
    ['https://user:secret@news.example.org/', 'news.example.org'],
    // The host follows the last `@`, as in browsers.
    ['https://example.org@evil.example/', 'evil.example'],
    ['https://example.org./', 'example.org'],
    ['HTTPS://www.example.org', 'example.org'],
    ['https://www.com/', 'www.com'],
    ['https://wwwx.example.org/', 'wwwx.example.org'],
    ['http://localhost/', 'localhost'],
    ['http://[2001:DB8::1]:80/', '[2001:db8::1]'],
    ['http://127.1/', '127.0.0.1'],
    ['https://bücher.example/', 'xn--bcher-kva.example'],
    ['android-app://com.Google.android.gm/', 'com.google.android.gm'],
  ])('of %s', (url, host) => {
    expect(hostOf(url)).toBe(host);
  });

  test.each([
    '',
    '/path',
    '//example.org/',
    'example.org',
    'about:blank',
    'javascript:alert(1)//https://example.org',
    'https://',
    'https:///',
    'https://exa mple.org/',
    'https://<script>/',
    'file:///etc/passwd',
    `https://${'a'.repeat(300)}.example/`,
  ])('is unknown in "%s"', (url) => {
    expect(hostOf(url)).toBe(null);
  });

  test('of any text is unknown, or a host in lowercase without control characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const url of [text, `https://${text}`, `app://${text}`]) {
          const host = hostOf(url);
          if (host !== null) expect(host).toMatch(/^[^\u0000-\u0020A-Z/?#@\u007f]{1,253}$/);
        }
      }),
    );
  });
});

describe('campaignOf', () => {
  test.each([
    [
      'https://example.org/?utm_source=newsletter&utm_medium=email&utm_campaign=spring',
      'newsletter / email / spring',
    ],
    ['/?utm_campaign=spring+sale&a=1&utm_source=news%20letter', 'news letter / - / spring sale'],
    ['/?utm_source=%20newsletter%20', 'newsletter'],
    ['/?utm_medium=email', '- / email'],
    ['/?utm_source=a&utm_source=b', 'a'],
    ['/?utm_source=a#utm_medium=b', 'a'],
    ['/?utm_source=a%00b%ff', 'a\ufffdb\ufffd'],
  ])('of %s', (url, campaign) => {
    expect(campaignOf(url)).toBe(campaign);
  });

  test.each([
    '/',
    '/?a=b',
    '/utm_source=a',
    '/?utm_source=',
    '/?utm_source=%20',
    '/?utm_term=a',
    '/?a=utm_source',
  ])('is none in %s', (url) => {
    expect(campaignOf(url)).toBe(null);
  });

  test('is truncated, with a hash that keeps long ones distinct', () => {
    const [a, b] = ['a', 'b'].map((end) => campaignOf(`/?utm_source=${'x'.repeat(400)}${end}`)!);
    expect([a!.length, b!.length]).toEqual([256, 256]);
    expect(a).not.toBe(b);
  });
});
