/** Input of a public socket: each entry is everything that one connection sends. */
const bytes = (...codes: number[]) => String.fromCharCode(...codes);

/** Returns a small pseudorandom generator with the same numbers in every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function noise(count: number): string[] {
  const next = random(7);
  return Array.from({ length: count }, (_, i) => {
    const length = 1 + Math.floor(next() * 400);
    const text = bytes(...Array.from({ length }, () => Math.floor(next() * 256)));
    // Some begin like a request.
    return i % 3 === 0 ? text : `GET /${i % 3 === 1 ? text : `noise/${i} HTTP/1.1\r\n${text}`}\r\n\r\n`;
  });
}

const get = (line: string, ...headers: string[]) =>
  `${[`${line}`, 'Host: localhost', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`;

export const GARBAGE: readonly string[] = [
  '',
  '\r\n\r\n\r\n',
  bytes(0),
  bytes(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...Array(200).fill(7)), // a TLS ClientHello
  bytes(5, 1, 0), // SOCKS 5
  bytes(4, 1, 0, 80, 127, 0, 0, 1, 0), // SOCKS 4
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', // HTTP/2
  'SSH-2.0-OpenSSH_9.6\r\n',
  'EHLO mail.example\r\n',
  '*1\r\n$4\r\nPING\r\n', // Redis
  'GET\r\n\r\n',
  'GET /half',
  'GET /half HTTP/1.1\r\nHost: local',
  'GET / HTTP/9.9\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n', // no Host
  'GET / HTTP/1.1\r\nHost\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET / HTTP/1.1\nHost: a\n\n',
  'GET  /  HTTP/1.1\r\nHost: a\r\n\r\n',
  'get / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GETT / HTTP/1.1\r\nHost: a\r\n\r\n',
  `GET /${bytes(0)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET /${bytes(0xff, 0xfe)} HTTP/1.1\r\nHost: ${bytes(0xff)}\r\nConnection: close\r\n\r\n`,
  'GET / HTTP/1.0\r\n\r\n',
  get('GET / HTTP/1.1', `X: ${bytes(0)}`),
  get('GET / HTTP/1.1', 'Content-Length: -1'),
  get('GET / HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2'),
  get('POST / HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked'),
  `${get('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`,
  get('POST / HTTP/1.1', 'Transfer-Encoding: gzip'),
  `${get('POST / HTTP/1.1', 'Content-Length: 100')}too short`,
  get('OPTIONS * HTTP/1.1'),
  get('CONNECT a:1 HTTP/1.1'),
  get('GET / HTTP/1.1', 'Expect: the unexpected'),
  get('GET / HTTP/1.1', 'Upgrade: nonsense', 'Connection: upgrade'),
  get('GET //..//..\\..%00%ff%zz?%&=&&;#x HTTP/1.1'),
  get('GET http://[::::/ HTTP/1.1'),
  get('GET http://user:pass@host:99999/x HTTP/1.1'),
  get('GET ?x HTTP/1.1'),
  get('GET /\u001b[31m HTTP/1.1'),
  get(`GET /${'a/../'.repeat(5_000)} HTTP/1.1`),
  get(`GET /?${'a[]=1&'.repeat(5_000)} HTTP/1.1`),
  get('GET / HTTP/1.1', ...Array.from({ length: 3_000 }, (_, i) => `X-${i}: ${i}`)),
  get('GET / HTTP/1.1', `Cookie: ${'track_usage=;'.repeat(1_000)}`),
  get(
    'GET / HTTP/1.1',
    `X-Forwarded-For: ${', ,;"[::1'.repeat(1_000)}`,
    'X-Forwarded-Host: \u00e4\u00f6',
    'X-Forwarded-Proto: gopher',
  ),
  get(
    'GET / HTTP/1.1',
    'Authorization: Basic ====',
    'Accept-Language: ;q=;,*;q=9',
    'Referer: ::::',
    'User-Agent: ',
  ),
  // More than any server accepts.
  get('GET / HTTP/1.1', `X: ${'x'.repeat(200_000)}`),
  `GET /${'x'.repeat(200_000)} HTTP/1.1\r\n\r\n`,
  // Requests before and after one that is invalid.
  `${get('GET / HTTP/1.1').replace('close', 'keep-alive')}nonsense\r\n\r\n${get('GET / HTTP/1.1')}`,
  ...noise(200),
];
