/**
 * Number of the last sweep that a writer knows; `undefined` before it is read. A sweep deletes only rows that no writer
 * has looked up since it began, and a batch is only stored if no other sweep has begun since its IDs were looked up.
 * So an ID in a cache never leads to a deleted row.
 */
export interface CurrentSweep {
  number: number | undefined;
}
