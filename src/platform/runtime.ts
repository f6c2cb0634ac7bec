import { TrackUsageError } from '../errors.ts';

/** Throws a clear message if this library cannot run. */
export function requireRuntime(versions: NodeJS.ProcessVersions = process.versions): void {
  for (const other of ['bun', 'deno'] as const) {
    const version = versions[other];
    if (version !== undefined)
      throw new TrackUsageError('RUNTIME_UNSUPPORTED', { value: `${other} ${version}` });
  }
  const [major = 0, minor = 0] = versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 13)) {
    throw new TrackUsageError('NODE_TOO_OLD', { value: versions.node });
  }
}
