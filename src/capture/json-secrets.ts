import { REDACTED } from './secret-names.ts';

/** Characters of JSON that matter here, raw or percent-encoded any number of times. */
const TOKEN = /["\\[\]{}]|%(?:25)*(?:22|5c|5b|5d|7b|7d)/gi;
/** Colon between a name and its value, with white space around it. */
const COLON = /(?:\s|\+|%(?:25)*(?:20|0[9ad]))*(?::|%(?:25)*3a)(?:\s|\+|%(?:25)*(?:20|0[9ad]))*/iy;
/** Value that is neither a text nor a list nor an object. */
const BARE = /[\w.+-]+/y;
/** Start of any other value. */
const VALUE_START = /(?:\\|%(?:25)*5c)*(?:["[{]|%(?:25)*(?:22|5b|7b))/iy;
/** Escaped character in a name: `\u006b`. */
const ESCAPED = /(?:\\|%(?:25)*5c)+u([\da-f]{4})/gi;

const KINDS: Record<string, string> = {
  '22': '"',
  '5c': '\\',
  '5b': '[',
  '5d': ']',
  '7b': '{',
  '7d': '}',
};

interface Token {
  kind: string;
  start: number;
  end: number;
  /** Number of backslashes directly before it. */
  backslashes: number;
  /** Index of the first of them, or of the token without any. */
  escapeStart: number;
}

/**
 * Redacts the values of JSON members with a secret's name: texts, numbers, and whole lists and objects. The
 * JSON may be percent-encoded, and escaped because it is a text in other JSON (`{\"token\":\"…\"}`). It
 * need not be valid. Takes time in proportion to the text.
 */
export function redactMembers(text: string, isSecret: (name: string) => boolean): string {
  const scan = new TokenScan(text);
  let clean = '';
  let copied = 0;
  /** Index after the last quotation mark. The end of the text if that mark is not part of a name. */
  let nameStart = text.length;
  for (let token = scan.next(); token; token = scan.next()) {
    if (token.kind !== '"') continue;
    const name = text.slice(nameStart, token.escapeStart);
    nameStart = token.end;
    COLON.lastIndex = token.end;
    if (name === '' || !COLON.test(text) || !isSecret(decodeEscapes(name))) continue;
    const value = scan.value(COLON.lastIndex);
    if (value === undefined) continue;
    nameStart = text.length;
    // An empty text contains no secret.
    if (value.start === value.end) continue;
    clean += text.slice(copied, value.start) + REDACTED;
    copied = value.end;
  }
  return clean + text.slice(copied);
}

function decodeEscapes(name: string): string {
  return name.replace(ESCAPED, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

interface Range {
  start: number;
  end: number;
}

class TokenScan {
  readonly #text: string;
  #index = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns the next token other than a backslash. */
  next(): Token | undefined {
    let backslashes = 0;
    let escapeStart = -1;
    let escapeEnd = -1;
    TOKEN.lastIndex = this.#index;
    for (let found = TOKEN.exec(this.#text); found; found = TOKEN.exec(this.#text)) {
      const start = found.index;
      const end = start + found[0].length;
      if (escapeEnd !== start) {
        backslashes = 0;
        escapeStart = start;
      }
      const kind = found[0].length === 1 ? found[0] : KINDS[found[0].slice(-2).toLowerCase()]!;
      if (kind !== '\\') {
        this.#index = end;
        return { kind, end, backslashes, escapeStart, start };
      }
      backslashes += 1;
      escapeEnd = end;
    }
    this.#index = this.#text.length;
    return undefined;
  }

  /**
   * Moves past the value that starts at an index, and returns its range, without the quotation marks of a
   * text. Returns `undefined` if no value starts there.
   */
  value(start: number): Range | undefined {
    BARE.lastIndex = start;
    if (BARE.test(this.#text)) {
      this.#index = BARE.lastIndex;
      return { start, end: this.#index };
    }
    VALUE_START.lastIndex = start;
    if (!VALUE_START.test(this.#text)) return undefined;
    this.#index = start;
    const { kind, end, backslashes } = this.next()!;
    return kind === '"'
      ? { start: end, end: this.#endOfText(backslashes) }
      : { start, end: this.#endOfContainer() };
  }

  /** Moves past a text whose opening quotation mark has this many backslashes. */
  #endOfText(opening: number): number {
    for (let token = this.next(); token; token = this.next()) {
      if (!closes(token, opening)) continue;
      const { start, escapeStart, backslashes } = token;
      if (backslashes <= opening) return escapeStart;
      // The first ones belong to the text.
      return start - ((start - escapeStart) / backslashes) * opening;
    }
    return this.#text.length;
  }

  /** Moves past a list or an object that has just begun. */
  #endOfContainer(): number {
    let depth = 1;
    for (let token = this.next(); token; token = this.next()) {
      if (token.kind === '"') this.#endOfText(token.backslashes);
      else if (token.kind === '[' || token.kind === '{') depth += 1;
      else depth -= 1;
      if (depth === 0) return token.end;
    }
    return this.#text.length;
  }
}

/**
 * Returns whether a token ends a text whose opening quotation mark has this many backslashes. Each level of
 * escaping turns `n` backslashes before a quotation mark into `2n + 1`, and doubles those of a backslash.
 */
function closes({ kind, backslashes }: Token, opening: number): boolean {
  return kind === '"' && Math.floor(backslashes / (opening + 1)) % 2 === 0;
}
