import { isbot } from 'isbot';
import { type KnownBot, knownBots } from './known-bots.ts';
import { productOf } from './product.ts';

/** Name and version of a bot. */
export interface Bot {
  /** Name of the product, for example `bingbot`. At most 40 characters. */
  name: string;
  version: string | null;
}

/** Returns the bot that a user agent identifies as, or `null` for a browser. */
export function botOf(agent: string): Bot | null {
  if (!isbot(agent)) return null;
  recognizer ??= new Recognizer();
  const known = recognizer.find(agent);
  if (known) return { name: known.bot.name, version: versionAt(agent, known.end) };
  const found = productOf(agent);
  // Another spelling of a known name.
  const name = recognizer.spelling(found);
  return { name, version: versionAt(agent, agent.indexOf(found) + found.length) };
}

let recognizer: Recognizer | undefined;

/** Finds known bots in user agents. */
class Recognizer {
  /** Bots by the lowercase first word of their lowercase text, those with a longer text first. */
  readonly #byWord = new Map<string, (KnownBot & { text: string })[]>();
  /** Bots whose text may be a part of a word, and one pattern for all of them. */
  readonly #patterns: { bot: KnownBot; pattern: RegExp }[] = [];
  readonly #anyPattern: RegExp;
  readonly #spellings = new Map<string, string>();

  constructor() {
    const patterns: string[] = [];
    for (const bot of knownBots()) {
      this.#spellings.set(bot.name.toLowerCase(), bot.name);
      const { text, pattern } = bot;
      if (pattern !== undefined) {
        patterns.push(pattern);
        this.#patterns.push({ bot, pattern: new RegExp(pattern, 'y') });
      } else if (text !== undefined) {
        const lower = text.toLowerCase();
        const [word] = WORD.exec(lower)!;
        const others = this.#byWord.get(word) ?? [];
        this.#byWord.set(
          word,
          [...others, { ...bot, text: lower }].sort((a, b) => b.text.length - a.text.length),
        );
      }
    }
    this.#anyPattern = new RegExp(patterns.join('|'), 'g');
  }

  /**
   * Returns the first known bot in a user agent, and the end of its text. Programs count only without another bot,
   * because many bots name the library or the browser that they use.
   */
  find(agent: string): Found | undefined {
    const byWord = this.#first(this.#words(agent.toLowerCase()));
    const byPattern = this.#first(this.#matches(agent));
    return this.#first([byWord, byPattern].filter((found) => found !== undefined).sort(byStart));
  }

  /** Returns the usual spelling of a name. */
  spelling(name: string): string {
    return this.#spellings.get(name.toLowerCase()) ?? name;
  }

  #first(all: Iterable<Found>): Found | undefined {
    let program: Found | undefined;
    for (const found of all) {
      if (found.bot.kind !== 'library') return found;
      program ??= found;
    }
    return program;
  }

  *#words(lower: string): Iterable<Found> {
    let last = 0;
    for (const { 0: word, index } of lower.matchAll(WORDS)) {
      // A part of a name that was found is no other bot: `node-fetch` is not `Fetch`.
      if (index < last) continue;
      for (const bot of this.#byWord.get(word) ?? []) {
        const end = index + bot.text.length;
        if (!lower.startsWith(bot.text, index) || splitsWord(lower, end)) continue;
        last = end;
        yield { bot, start: index, end };
        break;
      }
    }
  }

  *#matches(agent: string): Iterable<Found> {
    for (const { 0: text, index } of agent.matchAll(this.#anyPattern)) {
      const { bot } = this.#patterns.find(({ pattern }) => {
        pattern.lastIndex = index;
        return pattern.test(agent);
      })!;
      yield { bot, start: index, end: index + text.length };
    }
  }
}

interface Found {
  bot: KnownBot;
  /** Start and end of the text in the user agent. */
  start: number;
  end: number;
}

function byStart(a: Found, b: Found): number {
  return a.start - b.start;
}

const WORD = /[a-z0-9]+/;
const WORDS = /[a-z0-9]+/g;

/** Returns whether an index is within a word. */
function splitsWord(text: string, index: number): boolean {
  return /^[a-z0-9]{2}/.test(text.slice(index - 1, index + 1));
}

/** Returns the version that follows a name: `/1.0` or ` v1.0`. */
function versionAt(agent: string, end: number): string | null {
  const [, version] = /^(?:\/v?|[ /]?v?(?=\d+\.\d))(\d[\w.+-]{0,31})/.exec(agent.slice(end, end + 40)) ?? [];
  return version ?? null;
}
