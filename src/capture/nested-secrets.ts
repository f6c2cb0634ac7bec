/** Replacement for removed values. */
export const REDACTED = 'REDACTED';

/**
 * Matches `=` and the characters that end a parameter, raw or encoded any number of times: `%3D`, `%253D`.
 */
const MARK = /[=?&#]|%(?:25)*(?:3d|3f|26|23)/gi;
const USER_END = /@|%(?:25)*40/gi;
const SLASHES = /(?:[\\/]|%(?:25)*(?:2f|5c)){2}/i;
/** Matches up to the last authority in a text. */
const AUTHORITY = /^.*(?:[\\/]|%(?:25)*(?:2f|5c)){2}/is;
const PATH = /[\\/?#]|%(?:25)*(?:2f|5c|3f|23)/i;
/** Pattern of a JSON member: `"name":"value"`, `"name":1`. */
const QUOTE = '(?:"|%(?:25)*22)';
const MEMBER = new RegExp(
  `(${QUOTE}([\\w.-]+)${QUOTE}(?:\\s|\\+|%(?:25)*20)*(?::|%(?:25)*3a)(?:\\s|\\+|%(?:25)*20)*)` +
    `(?:(${QUOTE})((?:(?:\\\\|%(?:25)*5c)(?:${QUOTE}|.)|(?!${QUOTE}).)*)|([\\w.+-]+))`,
  'gis',
);

/** Redacts the secrets in a parameter's value, which may be a URL, a query or JSON, encoded several times. */
export class NestedSecrets {
  readonly #isSecret: (name: string) => boolean;

  constructor(isSecret: (name: string) => boolean) {
    this.#isSecret = isSecret;
  }

  /** Redacts secrets, and keeps everything else byte for byte. */
  redact(value: string): string {
    let clean = this.#redactParameters(value);
    if (SLASHES.test(clean)) clean = withoutUsers(clean);
    return clean.includes('"') || clean.includes('22') ? this.#redactMembers(clean) : clean;
  }

  #redactParameters(value: string): string {
    let clean = '';
    let copied = 0;
    let nameStart = 0;
    MARK.lastIndex = 0;
    for (let mark = MARK.exec(value); mark; mark = MARK.exec(value)) {
      const start = MARK.lastIndex;
      const isNamed = isEquals(mark[0]) && this.#isSecret(value.slice(nameStart, mark.index));
      nameStart = start;
      if (!isNamed) continue;
      // Marks encoded more often than the equals sign are part of the value.
      let end = MARK.exec(value);
      while (end && (isEquals(end[0]) || end[0].length > mark[0].length)) end = MARK.exec(value);
      const valueEnd = end?.index ?? value.length;
      if (valueEnd > start) {
        clean += value.slice(copied, start) + REDACTED;
        copied = valueEnd;
      }
      if (!end) break;
      nameStart = MARK.lastIndex;
    }
    return copied === 0 ? value : clean + value.slice(copied);
  }

  #redactMembers(value: string): string {
    return value.replace(
      MEMBER,
      (whole, before: string, name: string, quote: string | undefined, text: string | undefined) => {
        if (!this.#isSecret(name) || text === '') return whole;
        return before + (quote ?? '') + REDACTED;
      },
    );
  }
}

function isEquals(mark: string): boolean {
  return mark === '=' || mark.at(-1) === 'd' || mark.at(-1) === 'D';
}

/** Removes the `user:password@` of each URL. */
function withoutUsers(value: string): string {
  let clean = '';
  let from = 0;
  USER_END.lastIndex = 0;
  for (let at = USER_END.exec(value); at; at = USER_END.exec(value)) {
    const before = value.slice(from, at.index);
    const start = AUTHORITY.exec(before)?.[0];
    const isUser = start !== undefined && !PATH.test(before.slice(start.length));
    clean += isUser ? start : before + at[0];
    from = USER_END.lastIndex;
  }
  return clean + value.slice(from);
}

/** Returns whether an encoded `=` starts at the `%` at this index. */
export function isEncodedEquals(text: string, percent: number): boolean {
  let i = percent + 1;
  while (text.charCodeAt(i) === 50 && text.charCodeAt(i + 1) === 53) i += 2;
  return text.charCodeAt(i) === 51 && (text.charCodeAt(i + 1) | 32) === 100;
}

/**
 * Returns whether an encoded character that may matter in a value starts at this index: `=`, `@`, `"`, or
 * another `%`.
 */
export function isEncodedMark(text: string, percent: number): boolean {
  const first = text.charCodeAt(percent + 1);
  const second = text.charCodeAt(percent + 2);
  if (first === 50) return second === 50 || second === 53;
  return first === 51 ? (second | 32) === 100 : first === 52 && second === 48;
}
