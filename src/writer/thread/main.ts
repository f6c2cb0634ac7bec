/**
 * Entry point of the writer's thread. Serves every TrackUsage of the process, each through a separate port.
 */
import { parentPort } from 'node:worker_threads';
import type { OpenInstance } from '../protocol.ts';
import { openInstance } from './instance.ts';

// An instance that cannot be opened ends the thread, which reports the reason.
parentPort!.on('message', ({ port, data }: OpenInstance) => void openInstance(port, data));
