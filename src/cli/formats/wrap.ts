import stringWidth from 'string-width';
import type { Io } from '../io.ts';

/** Indentation of the lines after the first. */
const INDENT = '  ';

/** Breaks a line between words, so that it fits the terminal. Longer words, such as paths, stay whole. */
export function wrap(line: string, { columns }: Pick<Io, 'columns'>): string {
  if (columns === undefined || stringWidth(line.trimEnd()) <= columns) return line;
  const [indentation = ''] = /^ */.exec(line)!;
  const lines: string[] = [];
  let current = '';
  for (const word of line.trim().split(' ')) {
    const start = lines.length === 0 ? indentation : `${indentation}${INDENT}`;
    const longer = current === '' ? `${start}${word}` : `${current} ${word}`;
    if (current === '' || stringWidth(longer) <= columns) {
      current = longer;
      continue;
    }
    lines.push(current);
    current = `${indentation}${INDENT}${word}`;
  }
  return `${[...lines, current].join('\n')}\n`;
}

/** Breaks several lines. */
export function* wrapped(lines: Iterable<string>, io: Pick<Io, 'columns'>): Generator<string> {
  for (const line of lines) yield wrap(line, io);
}
