import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Installs the packages of a directory with its own `package-lock.json`, the first time and after a change.
 * @param onInstall Called before the installation, which takes a while.
 */
export function installPackages(directory: string, onInstall: () => void = () => {}): void {
  const installed = join(directory, 'node_modules', '.package-lock.json');
  const wanted = join(directory, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return;
  onInstall();
  execFileSync('npm', ['ci', '--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
