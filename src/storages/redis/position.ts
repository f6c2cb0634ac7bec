import type { Position } from '../../journal/position.ts';
import type { Server } from './client.ts';
import type { Keys } from './keys.ts';

/** Returns the stored position of a journal. */
export async function positionOf(
  server: Server,
  { journals }: Keys,
  journal: string,
): Promise<Position | undefined> {
  const found = await server.send(journals, ['HGET', journals, journal]);
  if (found === null) return undefined;
  const [position, ordinal] = String(found).split(' ').map(Number);
  return { position: position!, ordinal: ordinal! };
}
