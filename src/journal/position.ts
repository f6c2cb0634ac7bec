/** A place between two records of a journal. */
export interface Position {
  /** Number of bytes before it, from the start of the journal. */
  position: number;
  /** Number of records before it, lost ones included. */
  ordinal: number;
}
