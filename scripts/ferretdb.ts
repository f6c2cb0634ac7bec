/**
 * Builds FerretDB 1 from its source with Go. It is a server for MongoDB's protocol that stores its data in
 * SQLite.
 *
 * A few lines are patched so that it keeps guarantees of MongoDB that tests rely on. An update of a document
 * is atomic (FerretDB 1 reads it, then writes it, and can lose one of two concurrent increments). A hundred
 * updates in one message do not deadlock. A document is found by its `_id` through the index.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILT } from '../test/support/services.ts';
import { findProgram } from './find-program.ts';

const MODULE = 'github.com/FerretDB/FerretDB';
const VERSION = 'v1.24.2';
/**
 * Version of Go, used if the installed one cannot download a newer one by itself. This applies before 1.21,
 * for example in Debian 12.
 */
const GO = 'go1.24.3';
const FIRST_DOWNLOADING = 21;

interface Change {
  file: string;
  before: string;
  after: string;
  /** Number of occurrences of `before` in the file. Defaults to 1. */
  times?: number;
}

const UPDATE = 'internal/handler/msg_update.go';
const CHANGES: readonly Change[] = [
  { file: UPDATE, before: 'import (\n', after: 'import (\n\t"sync"\n' },
  {
    file: UPDATE,
    before: '\nfunc (h *Handler) updateDocument(',
    after: '\nvar updates sync.Mutex\n\nfunc (h *Handler) updateDocument(',
  },
  {
    file: UPDATE,
    before: '\tvar matched, modified int32\n',
    after: '\tupdates.Lock()\n\tdefer updates.Unlock()\n\n\tvar matched, modified int32\n',
  },
  {
    // A connection to SQLite is released when its rows are closed.
    file: UPDATE,
    before: 'common.UpdateDocument(ctx, c, "update", iter, &u)\n',
    after: 'common.UpdateDocument(ctx, c, "update", iter, &u)\n\t\tcloser.Close()\n',
  },
  {
    file: 'internal/handler/msg_findandmodify.go',
    before: '(*findAndModifyResult, error) {\n',
    after: '(*findAndModifyResult, error) {\n\tupdates.Lock()\n\tdefer updates.Unlock()\n\n',
  },
  {
    // The same expression as in the index, or SQLite would not use the index.
    file: 'internal/backends/sqlite/metadata/metadata.go',
    before: `IDColumn = DefaultColumn + "->'$._id'"`,
    after: 'IDColumn = DefaultColumn + `->"_id"`',
  },
  {
    // Also with conditions in addition to the _id, which are checked on the documents found.
    file: 'internal/backends/sqlite/collection.go',
    before: 'if params.Filter.Len() == 1 {',
    after: 'if params.Filter.Has("_id") {',
    times: 2,
  },
];

/** Returns any installed Go. */
export function findGo(): string | undefined {
  return findProgram('go', '/usr/local/go/bin', '/usr/lib/go/bin');
}

/** Builds into `.services/ferretdb`. Removes the build files, about a gigabyte. */
export function buildFerretdb(): void {
  const installed = findGo();
  if (!installed) throw new Error('Go is required: https://go.dev/dl/');
  const temporary = mkdtempSync(join(tmpdir(), 'ferretdb-'));
  const env = {
    ...process.env,
    GOPATH: join(temporary, 'path'),
    GOCACHE: join(temporary, 'cache'),
    GOFLAGS: '-modcacherw',
    GOWORK: 'off',
  };
  const run = (go: string, directory: string, ...args: string[]) =>
    execFileSync(go, args, { cwd: directory, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const download = (go: string, module: string) =>
    (JSON.parse(run(go, temporary, 'mod', 'download', '-json', module)) as { Dir: string }).Dir;
  try {
    console.log(`building FerretDB ${VERSION}: takes some minutes, and downloads almost a gigabyte`);
    const go = recentGo(installed, download);
    const source = join(temporary, 'source');
    cpSync(download(go, `${MODULE}@${VERSION}`), source, { recursive: true });
    for (const change of CHANGES) apply(source, change);
    // The program refuses to start without this file.
    writeFileSync(join(source, 'build/version/version.txt'), VERSION);
    mkdirSync(BUILT, { recursive: true });
    run(go, source, 'build', '-trimpath', '-ldflags=-s -w', '-o', join(BUILT, 'ferretdb'), './cmd/ferretdb');
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/**
 * Returns the installed Go, or a newer one downloaded as a module, whose programs must be made executable.
 */
function recentGo(installed: string, download: (go: string, module: string) => string): string {
  const [version, os, architecture] = execFileSync(installed, ['env', 'GOVERSION', 'GOOS', 'GOARCH'], {
    encoding: 'utf8',
  }).split('\n');
  if (Number(/^go1\.(\d+)/.exec(version!)?.[1]) >= FIRST_DOWNLOADING) return installed;
  const directory = download(installed, `golang.org/toolchain@v0.0.1-${GO}.${os}-${architecture}`);
  for (const program of globSync('{bin,pkg/tool/*}/*', { cwd: directory }))
    chmodSync(join(directory, program), 0o755);
  return join(directory, 'bin/go');
}

function apply(source: string, { file, before, after, times = 1 }: Change): void {
  const path = join(source, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(before).length !== times + 1) throw new Error(`${file} differs from the file in ${VERSION}`);
  writeFileSync(
    path,
    text.replaceAll(before, () => after),
  );
}
