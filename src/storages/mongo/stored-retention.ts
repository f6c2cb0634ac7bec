import type { KeepTime, Part, StoredRetention } from '../../storage/retention.ts';
import { type Collections, limited } from './collections.ts';

/** Returns the stored retention of a site. */
export async function storedRetention(
  { sites }: Pick<Collections, 'sites'>,
  site: string,
): Promise<StoredRetention> {
  const found = await limited(sites.findOne({ _id: site }));
  const stored = (found?.retention ?? {}) as Record<Part, { keep: KeepTime; before?: Date }>;
  return Object.fromEntries(
    Object.entries(stored).map(([part, { keep, before }]) => [
      part,
      { keep, before: before?.getTime() ?? null },
    ]),
  );
}
