import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf, isWithheld } from '../../src/capture/address.ts';
import { parseForwarded } from '../../src/capture/forwarded.ts';

describe('addressOf', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['203.0.113.9:51008', '203.0.113.9'],
    ['"203.0.113.9:51008"', '203.0.113.9'],
    ['203.0.113.9:_port', '203.0.113.9'],
    ['2001:DB8:0::5', '2001:db8::5'],
    ['[2001:db8::5]', '2001:db8::5'],
    ['[2001:db8::5]:443', '2001:db8::5'],
    ['"[2001:db8::5]:443"', '2001:db8::5'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
    ['', ''],
    ['unknown', ''],
    ['_hidden', ''],
    ['999.0.113.9:80', ''],
    ['203.0.113.09', ''],
    ['[203.0.113.9]', ''],
    ['[2001:db8::5', ''],
    ['2001:db8::5]:443', ''],
    ['localhost:80', ''],
    ["1.2.3.4'; DROP TABLE x", ''],
  ])('returns the address of %s: "%s"', (hop, address) => {
    expect(addressOf(hop)).toBe(address);
  });

  test('normalizes all spellings of an address', () => {
    const port = fc.constantFrom('', ':1', ':65535', ':_x');
    fc.assert(
      fc.property(fc.ipV6(), port, (address, tail) => {
        const plain = addressOf(address);
        expect(plain).not.toBe('');
        expect(addressOf(`[${address.toUpperCase()}]${tail}`)).toBe(plain);
        expect(addressOf(`"[${address}%eth0]${tail}"`)).toBe(plain);
        expect(addressOf(plain)).toBe(plain);
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), port, (address, tail) => {
        expect(addressOf(address + tail)).toBe(address);
        expect(addressOf(`::ffff:${address}`)).toBe(address);
      }),
    );
  });

  test.each(['unknown', 'UNKNOWN', '"unknown"', '_hidden', '"_a.b-c:_9"', 'unknown:80'])(
    'isWithheld(%s) is true',
    (hop) => {
      expect(isWithheld(hop)).toBe(true);
    },
  );

  test.each(['', 'unknowns', 'hidden', '_', '_a b', '203.0.113.9'])('isWithheld(%s) is false', (hop) => {
    expect(isWithheld(hop)).toBe(false);
  });
});

describe('parseForwarded', () => {
  const element = (given: object) => ({ for: '', proto: '', host: '', ...given });

  test.each([
    ['', []],
    [', ,', []],
    ['for=192.0.2.43', [{ for: '192.0.2.43' }]],
    ['For="[2001:db8:cafe::17]:4711"', [{ for: '[2001:db8:cafe::17]:4711' }]],
    ['for=192.0.2.60;proto=http;by=203.0.113.43', [{ for: '192.0.2.60', proto: 'http' }]],
    ['for=192.0.2.43, for=198.51.100.17', [{ for: '192.0.2.43' }, { for: '198.51.100.17' }]],
    ['HOST="a, b;c\\"d" ; for=_x ,for=unknown', [{ host: 'a, b;c"d', for: '_x' }, { for: 'unknown' }]],
    // An invalid element has no node.
    ['for=192.0.2.43, garbage, for=198.51.100.17', [{ for: '192.0.2.43' }, {}, { for: '198.51.100.17' }]],
    ['for="192.0.2.43, for=198.51.100.17', [{}, { for: '198.51.100.17' }]],
  ])('parses %s', (header, expected) => {
    expect(parseForwarded(header)).toEqual(expected.map(element));
  });

  test('never throws, and limits the number of elements and the time', () => {
    const part = fc.constantFrom('for=', 'proto=', '"', '\\', ';', ',', ' ', '[::1]', 'x', '=');
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string({ unit: 'binary', maxLength: 3 }))), (parts) => {
        for (const one of parseForwarded(parts.join(''))) expect(one).toEqual(element(one));
      }),
    );
    expect(parseForwarded('for=x,'.repeat(10_000))).toHaveLength(64);
    const began = performance.now();
    parseForwarded('for="a,'.repeat(10_000));
    expect(performance.now() - began).toBeLessThan(500);
  });

  test('parses generated headers, with and without quotes', () => {
    const token = fc.string({ unit: fc.constantFrom(..."abz09.-_!#$%&'*+^`|~"), minLength: 1 });
    const text = fc.string({ unit: fc.constantFrom(...'az ,;="\\[]:'), minLength: 1 });
    const written = fc.record({ for: fc.oneof(token, text), proto: token, host: text });
    const quote = (value: string) =>
      /^[\w.!#$%&'*+^`|~-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
    fc.assert(
      fc.property(fc.array(written, { maxLength: 10 }), (elements) => {
        const header = elements
          .map((one) => `for=${quote(one.for)};Proto=${quote(one.proto)}; host=${quote(one.host)}`)
          .join(' , ');
        expect(parseForwarded(header)).toEqual(elements);
      }),
    );
  });
});
