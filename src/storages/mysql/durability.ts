import type { WriterContext } from '../../storage/contract.ts';
import type { Session } from './session.ts';

/** Possible losses with a value of `innodb_flush_log_at_trx_commit` other than 1. */
const LOSSES: Readonly<Record<string, string>> = {
  0: 'when the server is killed',
  2: 'when the machine loses its power',
};

/** Labels already warned about: a writer may be opened often. */
const warned = new Set<string>();

/**
 * Warns if the server does not flush its commits to disk. A session cannot change that, and the journal no
 * longer has what the server loses.
 */
export async function warnIfNotDurable(session: Session, context: WriterContext): Promise<void> {
  const [row] = await session.query('SELECT @@innodb_flush_log_at_trx_commit AS flush');
  const loss = LOSSES[row?.flush ?? ''];
  if (loss === undefined || (row!.flush === '2' && !context.durable)) return;
  if (warned.has(session.label)) return;
  warned.add(session.label);
  process.emitWarning(
    `${session.label} loses the last second of commits ${loss}; set innodb_flush_log_at_trx_commit = 1`,
    { type: 'TrackUsageWarning', code: 'TRACK_USAGE_MYSQL_FLUSH' },
  );
}
