/** Opens event streams, prints how many responses had each status, and keeps the streams open until stdin ends. */
import net from 'node:net';

const [port, count] = process.argv.slice(2).map(Number) as [number, number];
const REQUEST = 'GET /usage/api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
/** Maximum number of connections that wait for a response: the server's backlog is about 500. */
const CONCURRENCY = 200;

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

await Promise.all(Array.from({ length: CONCURRENCY }, open));
process.stdout.write(`${JSON.stringify(statuses)}\n`);
process.stdin.resume().on('end', () => process.exit());
