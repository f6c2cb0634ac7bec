/** A tracked server whose disk stalls on command, and whose database rejects everything. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JournalMode } from '../../src/index.ts';
import { TrackUsage } from '../../src/index.ts';
import { StalledDisk } from '../journal/stalled-disk.ts';
import { stalledStorage } from './stalled-storage.ts';

const [directory = '', mode = 'append'] = process.argv.slice(2);
const disk = new StalledDisk();
const server = http.createServer((_request, response) => response.end('hello'));
const usage = new TrackUsage(server, stalledStorage(directory, 'rejects'), {
  geo: false,
  journal: { dir: directory, mode: mode as JournalMode },
  onError: () => {},
});
process.on('message', (message: { stall: number } | 'release' | 'status') => {
  if (message === 'release') disk.release();
  else if (message !== 'status') disk.stall(message.stall);
  process.send!({ journal: usage.status().journal, kept: disk.blockedCalls });
});
server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
