/**
 * Creates `dist/cjs`, for environments that cannot load an ES module with `require()`: Jest, and TypeScript
 * with `module` commonjs, node16 or node18. There is only one copy of the library, because each of its files
 * loads the ES module through Node's own `require`. The declarations are the same, in a folder of CommonJS
 * files.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const cjs = join(dist, 'cjs');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { import: { default: string } } | string>;
};

function write(path: string, text: string): void {
  const file = join(cjs, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/**
 * Node's own `require`. Jest replaces `require` and `process` in its files. `runInThisContext` accesses those
 * of Node's original context.
 */
const LOAD =
  "require('node:vm').runInThisContext('process').getBuiltinModule('node:module').createRequire(__filename)";

write('package.json', '{ "type": "commonjs" }\n');
for (const declaration of globSync('**/*.d.ts', { cwd: dist, exclude: ['cjs/**'] })) {
  write(declaration, readFileSync(join(dist, declaration), 'utf8'));
}
for (const [name, entry] of Object.entries(exports)) {
  if (typeof entry === 'string' || name === './nest') continue;
  const file = relative('dist', entry.import.default);
  const module = relative(join(cjs, dirname(file)), join(dist, file)).replaceAll('\\', '/');
  const names = Object.keys(await import(pathToFileURL(join(dist, file)).href));
  write(
    file,
    `Object.defineProperty(exports, '__esModule', { value: true });
const library = ${LOAD}('${module}');
${names.map((each) => `exports.${each} = library.${each};\n`).join('')}`,
  );
}
// The module must use the caller's `@nestjs/core`, because test runners load separate copies.
write(
  'integrations/nest.js',
  `Object.defineProperty(exports, '__esModule', { value: true });
const { createTrackUsageModule } = ${LOAD}('../../integrations/nest-module.js');
exports.TrackUsageModule = createTrackUsageModule(require('@nestjs/core').HttpAdapterHost);
`,
);
