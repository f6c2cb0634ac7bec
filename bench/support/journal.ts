import { join } from 'node:path';
import type { CapturedFields } from '../../src/capture/record-sink.ts';
import { library } from './library.ts';

/**
 * Writes a journal like that of a process that died before its writer started. Returns its directory.
 * @param identity Identity of its storage.
 */
export async function writeJournal(
  directory: string,
  identity: string,
  requests: Iterable<CapturedFields>,
): Promise<string> {
  const { Journal, journalsDirectory } = await library();
  const journal = new Journal({
    directory: journalsDirectory(join(directory, 'journal'), JSON.stringify(['default', identity])),
    mode: 'group',
    maxBytes: 64 * 1024 ** 3,
    segmentBytes: 16 * 1024 ** 2,
    header: { site: 'default', serverName: 'default' },
    onProblem(problem) {
      throw problem;
    },
  });
  for (const fields of requests) journal.append(fields);
  journal.close({ discard: false });
  return journal.path;
}
