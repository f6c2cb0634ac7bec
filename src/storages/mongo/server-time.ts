import { wallClock } from '../../platform/clock.ts';
import { type Collections, isRefusedCommand } from './collections.ts';

/** Returns the time of the server, or ours if the server does not report it. In ms since 1970. */
export async function serverTime(collections: Pick<Collections, 'command'>): Promise<number> {
  try {
    const { localTime } = await collections.command({ hello: 1 });
    return (localTime as Date).getTime();
  } catch (error) {
    if (!isRefusedCommand(error)) throw error;
    return wallClock.now();
  }
}
