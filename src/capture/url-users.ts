/** Delimiters of a URL and ends of its text, raw or encoded any number of times. */
const DELIMITER = /[:@/\\?#"\s]|%(?:25)*(?:3a|40|2f|5c|3f|23|22|20)/gi;
/** Schemes after which URL parsers accept any number of slashes, even none. */
const WEB_SCHEME = /(?:https?|wss?|ftp)$/i;
const SCHEME_END = /[a-z\d+.-]/i;
const PORT = /^\d*$/;
/** Maximum number of digits of a port. */
const MAX_PORT_DIGITS = 5;
/** Start of a host such as `[::1]`. */
const IP_LITERAL = /^(?:\[|%(?:25)*5b)/i;
/** Maximum length of an encoded bracket, in UTF-16 units. */
const MAX_BRACKET_LENGTH = 16;
const COLON = /:|%(?:25)*3a/i;
/** Present before every user. */
const USER_START = /[:/\\]|%(?:25)*(?:3a|2f|5c)/i;

/**
 * Removes the `user:password@` of each URL in a text, which may be encoded several times. Takes time in
 * proportion to the text.
 *
 * @param isPath True for the path of a URL, in which `//` starts another URL only after a scheme.
 */
export function withoutUsers(text: string, isPath: boolean): string {
  if (!text.includes('@') && !(text.includes('%') && text.includes('40'))) return text;
  if (!(isPath ? COLON : USER_START).test(text)) return text;
  const scan = new UserScan(text, isPath);
  DELIMITER.lastIndex = 0;
  for (let found = DELIMITER.exec(text); found; found = DELIMITER.exec(text)) {
    scan.delimiter(found[0], found.index);
  }
  return scan.result();
}

class UserScan {
  readonly #text: string;
  readonly #isPath: boolean;
  #clean = '';
  #copied = 0;
  /** Index after `scheme://`; -1 outside of an authority. */
  #start = -1;
  /** Length of the delimiters of the current URL, which grows with the number of times that they are encoded. */
  #level = 0;
  /** True if no slash precedes the authority, which may be other text then. */
  #isLoose = false;
  /** True if the authority contains the delimiter of a path, as part of a password. */
  #isExtended = false;
  #colons = 0;
  /** Index after the last colon. */
  #colonEnd = -1;
  /** Index after the colon of a scheme. */
  #schemeEnd = -1;
  /** Index after the last slash. */
  #slashEnd = -1;
  /** True if the current run of slashes follows a scheme. */
  #hasScheme = false;

  constructor(text: string, isPath: boolean) {
    this.#text = text;
    this.#isPath = isPath;
  }

  delimiter(found: string, index: number): void {
    const end = index + found.length;
    const level = found.length;
    switch (found.slice(-2).toLowerCase()) {
      case ':':
      case '3a':
        this.#colon(index, end, level);
        break;
      case '@':
      case '40':
        this.#userEnd(end);
        break;
      case '/':
      case '\\':
      case '2f':
      case '5c':
        this.#slash(index, end, level);
        break;
      case '?':
      case '#':
      case '3f':
      case '23':
        this.#pathStart(index, level);
        break;
      default:
        // White space or a quotation mark. Both are unlikely in a user, but follow other text.
        if ((this.#isLoose || this.#isExtended) && level <= this.#level) this.#start = -1;
    }
  }

  result(): string {
    return this.#clean + this.#text.slice(this.#copied);
  }

  #open(start: number, level: number, isLoose: boolean): void {
    this.#start = start;
    this.#level = level;
    this.#isLoose = isLoose;
    this.#isExtended = false;
    this.#colons = 0;
  }

  #colon(index: number, end: number, level: number): void {
    this.#colons += 1;
    this.#colonEnd = end;
    if (SCHEME_END.test(this.#text.charAt(index - 1))) this.#schemeEnd = end;
    // Within an authority, it may be part of the password.
    if (this.#start < 0 && WEB_SCHEME.test(this.#text.slice(Math.max(0, index - 5), index)))
      this.#open(end, level, true);
  }

  #slash(index: number, end: number, level: number): void {
    const isSecond = this.#slashEnd === index;
    if (!isSecond) this.#hasScheme = this.#schemeEnd === index;
    this.#slashEnd = end;
    // One more slash after a scheme, unless it belongs to a password with an encoded `@`.
    const isPassword = this.#copied === index && level > this.#level;
    if (this.#start === index && !isPassword) this.#open(end, level, !isSecond);
    else if (this.#start < 0 && isSecond && (this.#hasScheme || !this.#isPath)) this.#open(end, level, false);
    else this.#pathStart(index, level);
  }

  /** Ends the authority at the start of a path, query or fragment. */
  #pathStart(index: number, level: number): void {
    // A delimiter that is encoded more often than those of the URL is part of the user.
    if (this.#start < 0 || level > this.#level) return;
    // A delimiter within a password is recognized if what precedes it is not a port.
    if (this.#isHost(index)) this.#start = -1;
    else this.#isExtended = true;
  }

  /** Returns whether the authority up to an index can be a host and a port. */
  #isHost(end: number): boolean {
    if (this.#colons === 0) return true;
    if (IP_LITERAL.test(this.#text.slice(this.#start, this.#start + MAX_BRACKET_LENGTH))) return true;
    if (this.#colons > 1 || end - this.#colonEnd > MAX_PORT_DIGITS) return false;
    return PORT.test(this.#text.slice(this.#colonEnd, end));
  }

  #userEnd(end: number): void {
    if (this.#start < 0) return;
    this.#clean += this.#text.slice(this.#copied, this.#start);
    this.#copied = end;
    // The last `@` ends the user, so that another one may follow.
    this.#open(end, this.#level, this.#isLoose);
  }
}
