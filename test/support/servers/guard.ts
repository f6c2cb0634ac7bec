/**
 * `guard.ts <uid> <gid> <program> <argument>…` runs a server, and ends it with SIGKILL when the standard
 * input ends. So no server outlives its test, however the test ends.
 */
import { spawn } from 'node:child_process';

const [uid = '', gid = '', program = '', ...args] = process.argv.slice(2);
const child = spawn(program, args, {
  stdio: ['ignore', 'inherit', 'inherit'],
  ...(uid === '' ? {} : { uid: Number(uid), gid: Number(gid) }),
});
child.on('exit', (code) => process.exit(code ?? 1));
child.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
process.stdin.resume();
process.stdin.on('end', () => child.kill('SIGKILL'));
