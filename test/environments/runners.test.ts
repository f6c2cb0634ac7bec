import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Consumer, ROOT, run } from './consumer.ts';

const BIN = (path: string) => join(ROOT, 'node_modules', path);
let consumer: Consumer;

beforeAll(async () => {
  consumer = await Consumer.create();
  consumer.link('@types/node', '@types/express', 'express', 'vitest');
  // NestJS up to 11 is CommonJS, which Jest loads separately in each test file.
  const nest = join(consumer.directory, 'node_modules/@nestjs/core');
  mkdirSync(nest, { recursive: true });
  writeFileSync(join(nest, 'package.json'), '{ "name": "@nestjs/core", "version": "11.0.0" }');
  writeFileSync(join(nest, 'index.js'), 'exports.HttpAdapterHost = class HttpAdapterHost {};');
}, 120_000);
afterAll(() => consumer?.remove());

describe('test runners', () => {
  test.each([
    ['node:test, CommonJS', 'tracked.test.cjs', ['--test', 'tracked.test.cjs'], /pass 1\n/],
    ['node:test, ESM', 'tracked.test.mjs', ['--test', 'tracked.test.mjs'], /pass 1\n/],
    ['Vitest', 'tracked.test.mjs', [BIN('vitest/vitest.mjs'), 'run', '--globals'], /1 passed/],
    ['Jest, CommonJS', 'tracked.test.cjs', [BIN('jest/bin/jest.js')], /Tests: +1 passed/],
    [
      'Jest, ESM',
      'tracked.test.mjs',
      ['--experimental-vm-modules', BIN('jest/bin/jest.js')],
      /Tests: +1 passed/,
    ],
    ['Jest with NestJS', 'tracked-nest.test.cjs', [BIN('jest/bin/jest.js')], /Tests: +1 passed/],
  ])('run the tests of a tracked app: %s', async (name, app, argv, passed) => {
    const cwd = consumer.folder(name.replace(/\W+/g, '-'), app);
    const jest = { testEnvironment: 'node', testMatch: ['**/*.test.?js'], transform: {} };
    writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true, jest }));
    const result = await run(argv, { cwd, env: { NO_COLOR: '1', CI: 'true' } });
    const everything = result.stdout + result.stderr;
    expect({ code: result.code, everything }).toEqual({ code: 0, everything: expect.stringMatching(passed) });
    expect(everything).not.toMatch(/did not exit|MaxListeners|force exited/);
  });
});

/** TypeScript versions, with the values of `module` that an app can have. */
const COMPILERS = [
  ['5.4', 'typescript54', ['commonjs', 'node16', 'nodenext']],
  ['6', 'typescript6', ['commonjs', 'node16', 'node18', 'nodenext']],
  ['7', 'typescript', ['commonjs', 'node16', 'node18', 'node20', 'nodenext']],
] as const;

describe.each(COMPILERS)('TypeScript %s', (version, name, modules) => {
  test.each(modules)('compiles and runs a CommonJS app with module %s', async (module) => {
    const cwd = consumer.folder(`ts-${version}-${module}`, 'typed.cts');
    const project = {
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: true,
        target: 'es2022',
        lib: ['es2022'],
        types: ['node'],
        // For years, `tsc --init` set only `commonjs`, with its default module resolution.
        module,
        outDir: 'out',
      },
      files: ['typed.cts'],
    };
    writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify(project));
    const compiled = await run([BIN(`${name}/bin/tsc`), '-p', '.'], { cwd });
    expect(compiled).toEqual({ code: 0, stdout: '', stderr: '' });
    const result = await run(['out/typed.cjs'], { cwd });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toEqual([
      ['/', 2],
      ['/about', 1],
    ]);
  });
});
