import type { Person } from './contract.ts';
import type { RecordRow } from './record-row.ts';

/** Columns of a record by which a person is found. */
export type PersonRow = Pick<RecordRow, 'visitor' | 'remote_addr' | 'forwarded_for' | 'username'>;

/** Returns whether a record belongs to a person. */
export function isOf({ column, value }: Person, row: PersonRow): boolean {
  if (column === 'visitor') return row.visitor === value;
  if (column === 'username') return row.username === value;
  return (
    row.remote_addr === value || (row.forwarded_for !== null && isForwardedFor(row.forwarded_for, value))
  );
}

/** Returns whether an address is an element of the list `forwardedFor`. */
export function isForwardedFor(forwardedFor: string, address: string): boolean {
  return forwardedFor.split(',').some((element) => element.trim() === address);
}
