/**
 * Matches characters that a terminal interprets, hides, reorders or shows as a gap. These are control
 * characters (C0, DEL, C1), format characters such as bidi overrides and zero-width characters, separators
 * except the space, and unassigned code points.
 */
const CONTROLS = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;
/**
 * Matches combining marks without a letter, or more per letter than any language needs. They overlap adjacent
 * lines.
 */
const LOOSE_MARKS = /(?<=^|[ -@]|\p{M}{4})\p{M}/gu;

const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/**
 * Returns the text with every dangerous character escaped, for example `\x1b`. Backslashes are doubled, so
 * that nothing is lost.
 */
export function escapeText(text: string): string {
  return showControls(text.replaceAll('\\', '\\\\'));
}

/** Like `escapeText` for messages, without doubling backslashes. */
export function showControls(text: string): string {
  return text.replace(LOOSE_MARKS, escapeCharacter).replace(CONTROLS, escapeCharacter);
}

/** Like `escapeText` for JSON text, whose value stays the same. */
export function escapeJson(json: string): string {
  return json.replace(CONTROLS, (character) =>
    character
      .split('')
      .map((unit) => `\\u${hex(unit.charCodeAt(0), 4)}`)
      .join(''),
  );
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  if (code > 0xffff) return `\\u{${hex(code, 5)}}`;
  return SHORT[character] ?? (code > 0xff ? `\\u${hex(code, 4)}` : `\\x${hex(code, 2)}`);
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
