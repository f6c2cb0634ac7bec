import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { coverageKey, coveredBy, isOfBots } from '../../src/summaries/coverage.ts';
import {
  defineSummary,
  isSame,
  resolveSummaries,
  type Summary,
  type SummaryGroup,
} from '../../src/summaries/define.ts';

const key = () => 'x';
const MODULE = new URL('./fixtures/network.js', import.meta.url);

describe('defineSummary', () => {
  test.each(['p', 'plans', 'p2', 'a-b', 'plans-2026-eu', 'p'.repeat(40)])('accepts the name %s', (name) => {
    expect(defineSummary({ name, key })).toEqual({ name, title: name, key });
  });

  test.each([
    '',
    'Plans',
    'plans-',
    '-plans',
    'a--b',
    '2plans',
    'a b',
    'a_b',
    'plans\n',
    'p'.repeat(41),
    7,
    null,
    undefined,
    ['plans'],
  ])('refuses the name %j', (name) => {
    expect(() => defineSummary({ name: name as string, key })).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        message: expect.stringContaining('option "defineSummary.name" is '),
        hint: 'expected lowercase letters, digits and dashes, up to 40',
      }),
    );
  });

  const either = 'expected a function, unless module is given';
  const location = 'expected an absolute path or a file URL: new URL("./plan.js", import.meta.url)';
  test.each([
    [{}, 'key" is undefined', either],
    [{ key, module: MODULE }, 'key" is function key', either],
    [{ key: 'x' }, 'key" is "x"', 'expected a function'],
    [{ key, export: 'x' }, 'export" is "x"', 'expected only together with module'],
    [{ module: MODULE, export: '' }, 'export" is ""', 'expected the name of an export'],
    [{ module: MODULE, export: 7 }, 'export" is 7', 'expected the name of an export'],
    [{ module: './plan.js' }, 'module" is "./plan.js"', location],
    [{ module: 'plan' }, 'module" is "plan"', location],
    [
      { module: new URL('https://example.org/plan.js') },
      'module" is "https://example.org/plan.js"',
      location,
    ],
    [{ module: 7 }, 'module" is 7', location],
    [{ module: null }, 'module" is null', location],
  ])('refuses %o', (definition, message, hint) => {
    expect(() => defineSummary({ name: 'plans', ...definition } as never)).toThrow(
      expect.objectContaining({
        code: 'OPTION_INVALID',
        message: expect.stringContaining(`option "defineSummary.${message}`),
        hint,
      }),
    );
  });

  test('refuses unknown options, and anything but options', () => {
    expect(() => defineSummary({ name: 'plans', key, title: 'Plans' } as never)).toThrow(
      expect.objectContaining({ code: 'OPTION_UNKNOWN', message: expect.stringContaining('title') }),
    );
    expect(() => defineSummary('plans' as never)).toThrow('option "defineSummary" is "plans"');
  });

  test('accepts a module as a URL, as its text, and as an absolute path', () => {
    const path = join(import.meta.dirname, 'a b.js');
    for (const [module, url] of [
      [MODULE, MODULE.href],
      [MODULE.href, MODULE.href],
      [path, pathToFileURL(path).href],
    ] as const) {
      expect(defineSummary({ name: 'plans', module })).toEqual({
        name: 'plans',
        title: 'plans',
        module: url,
        export: 'default',
      });
    }
    expect(defineSummary({ name: 'plans', module: MODULE, export: 'statusClass' })).toMatchObject({
      export: 'statusClass',
    });
  });
});

describe('resolveSummaries', () => {
  const one: Summary = { name: 'one', title: 'sumOne', column: 'url' };
  const two: Summary = { name: 'two', title: 'sumTwo', column: 'route' };
  const both: SummaryGroup = { name: 'both', title: 'sumBoth', members: [one, two] };
  const all = new Map<string, Summary | SummaryGroup>([
    ['one', one],
    ['two', two],
    ['both', both],
  ]);
  const plans = defineSummary({ name: 'plans', key });
  const clients = defineSummary({ name: 'clients', module: MODULE });

  test('returns each summary once, in order', () => {
    expect(resolveSummaries([], all)).toEqual([]);
    expect(resolveSummaries(['two', both, 'one'], all)).toEqual([two, one]);
    expect(resolveSummaries([plans, 'both', clients, plans], all)).toEqual([plans, one, two, clients]);
    // A bundle may contain a second copy of this library.
    expect(resolveSummaries(['one', { ...one }], all)).toEqual([one]);
  });

  test.each([
    ['three', '"three"'],
    ['', '""'],
    [7, '7'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, '{}'],
    [{ name: 'plans' }, '{"name":"plans"}'],
    [key, 'function key'],
  ])('refuses %j', (hook, shown) => {
    expect(() => resolveSummaries([one, hook], all)).toThrow(
      expect.objectContaining({
        code: 'SUMMARY_UNKNOWN',
        message: expect.stringContaining(`unknown summary ${shown}`),
        hint: 'use one of: one, two, both',
      }),
    );
  });

  test.each([
    [[defineSummary({ name: 'one', key })], 'one'],
    [[plans, defineSummary({ name: 'plans', key: () => 'y' })], 'plans'],
    [[plans, defineSummary({ name: 'plans', module: MODULE })], 'plans'],
    [[clients, defineSummary({ name: 'clients', module: MODULE, export: 'statusClass' })], 'clients'],
    [[{ ...one, column: 'route' }], 'one'],
    [[defineSummary({ name: 'coverage', key })], 'coverage'],
  ])('refuses two summaries with one name: %#', (hooks, name) => {
    expect(() => resolveSummaries(hooks, all)).toThrow(
      expect.objectContaining({
        code: 'SUMMARY_TAKEN',
        message: expect.stringContaining(`another summary is already named "${name}"`),
      }),
    );
  });

  test('summaries with the same keys are the same', () => {
    expect(isSame(plans, defineSummary({ name: 'plans', key }))).toBe(true);
    expect(isSame(one, { ...one })).toBe(true);
    expect(isSame(one, two)).toBe(false);
    expect(isSame(plans, clients)).toBe(false);
  });
});

test('a coverage key lists summaries in the order of their names', () => {
  const summaries = ['urls', 'plans', 'remotes'].map((name) => ({ name }));
  expect(coverageKey(summaries, false)).toBe('plans,remotes,urls');
  expect(coverageKey(summaries, true)).toBe('plans,remotes,urls|bot');
  expect(coverageKey([], false)).toBe(null);
  expect(coverageKey([], true)).toBe('|bot');
  expect(coveredBy('plans,remotes,urls')).toEqual(['plans', 'remotes', 'urls']);
  expect(coveredBy('urls')).toEqual(['urls']);
  expect(coveredBy('plans,urls|bot')).toEqual(['plans', 'urls']);
  expect(coveredBy('|bot')).toEqual([]);
  expect(coveredBy(null)).toEqual([]);
  expect(['urls', 'urls|bot', '|bot', null].map(isOfBots)).toEqual([false, true, true, false]);
});
