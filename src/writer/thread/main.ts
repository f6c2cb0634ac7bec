/** The writer's thread: serves every TrackUsage of the process, each through a port of its own. */
import { parentPort } from 'node:worker_threads';
import type { OpenInstance } from '../protocol.ts';
import { openInstance } from './instance.ts';

// What an instance cannot be opened for ends the thread, and is reported with its reason.
parentPort!.on('message', ({ port, data }: OpenInstance) => void openInstance(port, data));
