/** A process that opens streams, counts how they were answered, and holds them until its input ends. */
import net from 'node:net';

const [port, count] = process.argv.slice(2).map(Number) as [number, number];
const REQUEST = 'GET /usage/api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
/** Connections that wait for an answer at once: the server's queue holds some 500. */
const AT_ONCE = 200;

const statuses: Record<string, number> = {};
let opened = 0;

async function open(): Promise<void> {
  while (opened < count) {
    opened += 1;
    const status = await new Promise<string>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(REQUEST));
      socket.once('data', (chunk) => resolve(/^HTTP\/1.1 (\d+)/.exec(chunk.toString('latin1'))?.[1] ?? '?'));
      socket.on('error', (error) => resolve(error.message)).resume();
    });
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, open));
process.stdout.write(`${JSON.stringify(statuses)}\n`);
process.stdin.resume().on('end', () => process.exit());
