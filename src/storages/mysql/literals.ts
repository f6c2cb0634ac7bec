/** Literals with the same meaning in every `sql_mode` and every connection character set. */

/** Returns an integer literal. Sums may exceed 2^53. */
export function integer(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : String(BigInt(Math.round(value)));
}

export function text(value: string | null): string {
  return value === null ? 'NULL' : `_utf8mb4 x'${Buffer.from(value).toString('hex')}'`;
}

export function binary(value: Buffer): string {
  return `x'${value.toString('hex')}'`;
}

/** Returns a `DATETIME` literal in UTC. `ms` is in ms since 1970. */
export function datetime(ms: number): string {
  return `'${new Date(Math.floor(ms)).toISOString().slice(0, -1).replace('T', ' ')}'`;
}

/** Returns a faster `datetime` for many values, most of which are in the same second as the one before. */
export function datetimes(): (ms: number) => string {
  let second = Number.NaN;
  let start = '';
  return (ms) => {
    const found = Math.floor(ms / 1000);
    if (found !== second) {
      second = found;
      start = datetime(found * 1000).slice(0, -4);
    }
    return `${start}${String(Math.floor(ms) - found * 1000).padStart(3, '0')}'`;
  };
}

/** Returns the ID of a text, with 0 as NULL. */
export function idOrNull(id: number): string {
  return id === 0 ? 'NULL' : String(id);
}
