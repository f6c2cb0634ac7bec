import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CookieOptions, isShareable, VisitorCookie } from '../../src/capture/visitor.ts';
import { TrackUsageError } from '../../src/errors.ts';

const ID = '0123456789abcdef0123456789abcdef';
const OTHER = 'f'.repeat(32);

/** Returns the `name=value` that a browser sends back. */
const cookiePair = (line: string) => line.slice(0, line.indexOf(';'));

describe('serialize', () => {
  test.each<[CookieOptions, boolean, string]>([
    [{}, false, `track_usage=${ID}; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax`],
    [{}, true, `track_usage=${ID}; Max-Age=31536000; Path=/; HttpOnly; Secure; SameSite=Lax`],
    [
      { name: 'v', maxAge: 60, path: '/app', domain: 'example.org' },
      false,
      `v=${ID}; Max-Age=60; Domain=example.org; Path=/app; HttpOnly; SameSite=Lax`,
    ],
    [
      { name: '__Secure-v' },
      false,
      `__Secure-v=${ID}; Max-Age=31536000; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      { name: '__Host-v', path: '/' },
      false,
      `__Host-v=${ID}; Max-Age=31536000; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      { secret: 'new' },
      false,
      `track_usage=${ID}.PeLwhPaN81yqfqBuMhGxBo6DpnVAOTSGU7Ja2dzPWt4; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax`,
    ],
  ])('serializes with %j, secure: %s', (options, secure, expected) => {
    expect(new VisitorCookie(options).serialize(ID, secure)).toBe(expected);
  });
});

describe('read', () => {
  const cookie = new VisitorCookie({});

  test.each([
    ['', null],
    ['a=b', null],
    [`track_usage=${ID}`, ID],
    [`a=b; track_usage=${ID}; c=d`, ID],
    [`a=b;track_usage = ${ID} ;c=d`, ID],
    [`track_usage=${ID}; track_usage=${OTHER}`, ID],
    [`track_usage=x; track_usage=${OTHER}`, null],
    [`my_track_usage=${ID}`, null],
    [`a=track_usage=${ID}`, null],
    [`Track_Usage=${ID}`, null],
    [`track_usage="${ID}"`, null],
    [`track_usage=${ID.toUpperCase()}`, null],
    [`track_usage=${ID}0`, null],
    [`track_usage=${ID.slice(1)}`, null],
    [`track_usage=%30${ID.slice(1)}`, null],
    [`track_usage=${ID}.abc`, null],
    ['track_usage', null],
    ['track_usage=', null],
  ])('reads "%s"', (header, expected) => {
    expect(cookie.read(header)).toBe(expected);
  });

  test('verifies a signed cookie', () => {
    const signed = new VisitorCookie({ secret: 'first' });
    const good = cookiePair(signed.serialize(ID, true));
    const another = new VisitorCookie({ secret: 'first', name: 'another' });
    const signature = good.slice(-43);
    const read = (header: string) => signed.read(header);
    // The second round uses the cached result.
    for (let round = 0; round < 2; round++) {
      expect({
        good: read(good),
        amongOthers: read(`a=b; ${good}; c=d`),
        unsigned: read(`track_usage=${ID}`),
        ofAnotherVisitor: read(`track_usage=${OTHER}.${signature}`),
        ofAnotherSecret: read(cookiePair(new VisitorCookie({ secret: 'other' }).serialize(ID, true))),
        ofAnotherCookie: read(cookiePair(another.serialize(ID, true)).replace('another', 'track_usage')),
        cut: read(good.slice(0, -1)),
        longer: read(`${good}A`),
        changed: read(good.slice(0, -2) + (good.at(-2) === 'A' ? 'B' : 'A') + good.at(-1)),
        empty: read(`track_usage=${ID}.`),
        notAscii: read(`track_usage=${ID}.${'ä'.repeat(43)}`),
        withoutSecret: cookie.read(good),
      }).toEqual({
        good: ID,
        amongOthers: ID,
        unsigned: null,
        ofAnotherVisitor: null,
        ofAnotherSecret: null,
        ofAnotherCookie: null,
        cut: null,
        longer: null,
        changed: null,
        empty: null,
        notAscii: null,
        withoutSecret: null,
      });
    }
  });

  test('signs with the first secret and verifies with all', () => {
    const before = new VisitorCookie({ secret: 'old' });
    const rotating = new VisitorCookie({ secret: ['new', 'old'] });
    const after = new VisitorCookie({ secret: ['new'] });
    const fromBefore = cookiePair(before.serialize(ID, true));
    const fromRotating = cookiePair(rotating.serialize(ID, true));
    expect([rotating.read(fromBefore), after.read(fromBefore)]).toEqual([ID, null]);
    expect([before.read(fromRotating), rotating.read(fromRotating), after.read(fromRotating)]).toEqual([
      null,
      ID,
      ID,
    ]);
  });

  test('never throws', () => {
    const signed = new VisitorCookie({ secret: 'secret' });
    const part = fc.oneof(
      fc.constantFrom('track_usage', '=', ';', ' ', '.', '%', '"', ID, ID.slice(1), '__proto__', '\0'),
      fc.string({ unit: 'binary', maxLength: 50 }),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const header = parts.join('');
        expect([null, ID]).toContain(cookie.read(header));
        expect(signed.read(header)).toBe(null);
      }),
      { numRuns: 2_000 },
    );
    for (const text of ['a=b; ', ';', '=', 'track_usage', 'track_usage=;', `track_usage=${ID}.`, 'é']) {
      const header = `track_usage${text.repeat(65_536 / text.length)}`;
      expect([cookie.read(header), signed.read(header)]).toEqual([null, null]);
    }
  });
});

describe('issue', () => {
  test('returns valid and distinct IDs over many refills of the pool', () => {
    const cookie = new VisitorCookie({ secret: 'secret' });
    const issued = Array.from({ length: 2_000 }, () => cookie.issue());
    expect(new Set(issued).size).toBe(issued.length);
    for (const visitor of issued.slice(0, 300)) {
      expect(visitor).toMatch(/^[0-9a-f]{32}$/);
      expect(cookie.read(cookiePair(cookie.serialize(visitor, false)))).toBe(visitor);
    }
  });

  test('returns IDs whose signed cookies are read again after many others', () => {
    const cookie = new VisitorCookie({ secret: 'secret' });
    const headers = Array.from({ length: 3_000 }, () => cookie.issue()).map((visitor) => ({
      visitor,
      header: cookiePair(cookie.serialize(visitor, true)),
    }));
    for (const round of [headers, headers]) {
      expect(round.filter(({ visitor, header }) => cookie.read(header) !== visitor)).toEqual([]);
    }
  });
});

describe('options', () => {
  test.each<[string, unknown]>([
    ['cookie.name', { name: '' }],
    ['cookie.name', { name: 'a b' }],
    ['cookie.name', { name: 'a;b' }],
    ['cookie.name', { name: 'a=b' }],
    ['cookie.name', { name: 5 }],
    ['cookie.maxAge', { maxAge: 0 }],
    ['cookie.maxAge', { maxAge: 1.5 }],
    ['cookie.maxAge', { maxAge: '60' }],
    ['cookie.path', { path: '' }],
    ['cookie.path', { path: 'app' }],
    ['cookie.path', { path: '/; Secure' }],
    ['cookie.path', { path: '/\r\nX: y' }],
    ['cookie.domain', { domain: '' }],
    ['cookie.domain', { domain: 'https://example.org' }],
    ['cookie.domain', { domain: 'example.org; Path=/' }],
    ['cookie.secret', { secret: '' }],
    ['cookie.secret', { secret: [] }],
    ['cookie.secret', { secret: ['good', ''] }],
    ['cookie.secret', { secret: 5 }],
    ['cookie.secret', { secret: null }],
    ['cookie.when', { when: true }],
    ['cookie.path', { name: '__Host-v', path: '/app' }],
    ['cookie.domain', { name: '__Host-v', domain: 'example.org' }],
  ])('rejects an invalid %s: %j', (name, options) => {
    const create = () => new VisitorCookie(options as CookieOptions);
    expect(create).toThrow(TrackUsageError);
    expect(create).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
    expect(create).toThrow(`option "${name}" is`);
  });

  test('never contains a secret in an error message', () => {
    expect(() => new VisitorCookie({ secret: ['hunter2', ''] })).toThrow(/^(?!.*hunter2)/);
  });
});

test.each([
  ['', false],
  ['no-cache', false],
  ['max-age=60', false],
  ['private, max-age=60', false],
  ['public', true],
  ['Public, max-age=0', true],
  ['max-age=60,PUBLIC', true],
  ['s-maxage=60', true],
  ['S-MaxAge = "60"', true],
  ['max-age=31536000, immutable', true],
  ['public=1', true],
  ['publicly, x-public, not-immutable, s-maxages=1', false],
  ['ext="public, s-maxage=1"', false],
  ['ext="a \\" , public", max-age=1', false],
  ['ext="a \\"", public', true],
  ['private, immutable', false],
  ['public, no-store', false],
  ['public, private', false],
  ['private="set-cookie", public', true],
  // Ambiguous: no cookie.
  [', ;=" public', true],
])('isShareable(%j) is %s', (header, expected) => {
  expect(isShareable(header)).toBe(expected);
});

test('isShareable never throws', () => {
  const part = fc.oneof(fc.constantFrom('public', ',', '"', '\\', '=', ' '), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      expect(typeof isShareable(parts.join(''))).toBe('boolean');
    }),
  );
});
