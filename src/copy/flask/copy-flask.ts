import type { Storage } from '../../query/storage.ts';
import { fold } from '../../summaries/fold.ts';
import { calendar } from '../../summaries/periods.ts';
import { copyRecords } from '../copy.ts';
import type { CopyProgress } from '../options.ts';
import { journalOf, openTarget } from '../target.ts';
import type { FlaskSource } from './source.ts';

export interface FlaskCopyOptions {
  from: FlaskSource;
  to: Storage;
  /** Name of the site for the records. */
  site: string;
  /** Time zone in which its hours, days and months begin. */
  timeZone: string;
  onProgress?: (progress: CopyProgress) => void;
}

/**
 * Copies the records of Flask-Track-Usage, and rebuilds the summaries that `to` keeps. An interrupted copy
 * continues where it stopped, and a repeated one adds new records.
 */
export async function copyFlask({
  from,
  to,
  site,
  timeZone,
  onProgress = () => {},
}: FlaskCopyOptions): Promise<{ records: number }> {
  const zone = calendar(timeZone);
  const journal = (part: string) => journalOf('flask', from.label, site, part);
  const writer = await openTarget(to, site, timeZone, journal('begun'));
  try {
    const records = await copyRecords(
      (request) => from.scan(request),
      writer,
      {
        label: from.label,
        site,
        toSite: site,
        journal: journal('records'),
        folded: (batch) => fold(batch, to.summaries, zone),
      },
      (rows) => onProgress({ step: 'records', rows }),
    );
    return { records };
  } finally {
    await writer.close();
  }
}
