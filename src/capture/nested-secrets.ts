import { redactMembers } from './json-secrets.ts';
import { REDACTED } from './secret-names.ts';
import { withoutUsers } from './url-users.ts';

/**
 * Matches `=` and the characters that end a parameter, raw or encoded any number of times: `%3D`, `%253D`.
 */
const MARK = /[=?&#]|%(?:25)*(?:3d|3f|26|23)/gi;
/** Redacts the secrets in a parameter's value, which may be a URL, a query or JSON, encoded several times. */
export class NestedSecrets {
  readonly #isSecret: (name: string) => boolean;

  constructor(isSecret: (name: string) => boolean) {
    this.#isSecret = isSecret;
  }

  /** Redacts secrets, and keeps everything else byte for byte. */
  redact(value: string): string {
    const clean = this.#redactParameters(withoutUsers(value, false));
    return clean.includes('"') || clean.includes('22') ? redactMembers(clean, this.#isSecret) : clean;
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
    return clean + value.slice(copied);
  }
}

function isEquals(mark: string): boolean {
  return mark === '=' || mark.at(-1) === 'd' || mark.at(-1) === 'D';
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
