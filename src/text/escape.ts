/**
 * What a terminal acts on, hides, reorders or shows as a gap: control characters (C0, DEL, C1), formats such as
 * bidi overrides and zero-width characters, separators but the space, and what has no meaning in Unicode.
 */
const CONTROLS = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;
/** Marks without a letter, and more of them on one than any language needs: they run over the lines around. */
const LOOSE_MARKS = /(?<=^|[ -@]|\p{M}{4})\p{M}/gu;

const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** The text with every dangerous character visible, such as `\x1b`; a backslash becomes two, so nothing is lost. */
export function escapeText(text: string): string {
  return showControls(text.replaceAll('\\', '\\\\'));
}

/** The same for messages, in which a backslash stays one. */
export function showControls(text: string): string {
  return text.replace(LOOSE_MARKS, escapeCharacter).replace(CONTROLS, escapeCharacter);
}

/** The same for JSON text, which stays the same value. */
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
