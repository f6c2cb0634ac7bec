import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

interface Package {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
}

/**
 * Starts a local registry with the dependencies of the package at `root`, from its node_modules. An install needs no
 * network, and finds only what `dependencies` lists.
 */
export async function startRegistry(root: string, tarballs: string) {
  const directories = dependenciesOf(root);
  const paths = [...directories];
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', tarballs, ...paths], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const packages = paths.map(manifestOf);
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url!.slice(1));
    if (path.endsWith('.tgz')) return response.end(readFileSync(join(tarballs, path)));
    const versions = packages.filter(({ name }) => name === path);
    if (versions.length === 0) return response.writeHead(404).end('{}');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const withTarball = (found: Package) => {
      const file = `${found.name.replace('@', '').replace('/', '-')}-${found.version}.tgz`;
      return { ...found, dist: { tarball: `${origin}/${file}` } };
    };
    return response.end(
      JSON.stringify({
        name: path,
        'dist-tags': { latest: versions[0]!.version },
        versions: Object.fromEntries(versions.map((found) => [found.version, withTarball(found)])),
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function manifestOf(directory: string): Package {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Package;
}

/** Returns the directories of all direct and indirect dependencies of a package. */
function dependenciesOf(directory: string, found = new Set<string>()): Set<string> {
  for (const name of Object.keys(manifestOf(directory).dependencies ?? {})) {
    let at = directory;
    while (!existsSync(join(at, 'node_modules', name, 'package.json'))) at = dirname(at);
    const dependency = join(at, 'node_modules', name);
    if (found.has(dependency)) continue;
    found.add(dependency);
    dependenciesOf(dependency, found);
  }
  return found;
}
