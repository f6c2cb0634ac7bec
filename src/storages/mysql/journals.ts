import type { Batch } from '../../storage/contract.ts';
import { DUPLICATE, numberOf } from './failures.ts';
import { text } from './literals.ts';
import type { Query } from './session.ts';

/**
 * Moves a journal from the start of a batch to its end, within a transaction. Returns the journal's number,
 * or `undefined` if its stored position differs.
 */
export async function moveJournal(
  query: Query,
  table: (name: string) => string,
  { journal, from, to }: Pick<Batch, 'journal' | 'from' | 'to'>,
): Promise<number | undefined> {
  const journals = table('journals');
  const id = text(journal);
  const find = `SELECT number, position FROM ${journals} WHERE id = ${id} FOR UPDATE`;
  let [found] = await query(find);
  if (!found && from.position === 0) {
    try {
      await query(`INSERT INTO ${journals} (id, position, ordinal) VALUES (${id}, 0, 0)`);
    } catch (error) {
      // Another writer added the journal first.
      if (numberOf(error) !== DUPLICATE) throw error;
      return undefined;
    }
    [found] = await query(find);
  }
  if (!found || Number(found.position) !== from.position) return undefined;
  await query(`UPDATE ${journals} SET position = ${to.position}, ordinal = ${to.ordinal} WHERE id = ${id}`);
  return Number(found.number);
}
