import type { BotKind } from './kinds.ts';
import { LIST } from './list.ts';
import { MORE } from './more.ts';

/** A bot in one of the lists. */
export interface KnownBot {
  name: string;
  kind: BotKind;
  /** Text in the user agent, which starts with a letter or digit. */
  text: string | undefined;
  /** Pattern of the user agent, if there is no such text. */
  pattern: string | undefined;
}

/** Returns all known bots. Own entries come last, so that their kinds count. */
export function knownBots(): KnownBot[] {
  return [LIST, MORE].flatMap((list) =>
    Object.entries(list).flatMap(([kind, lines]) =>
      lines.map((line: string) => {
        const [name = '', text = name] = line.split('\t');
        const pattern = /^\/(.*)\/$/.exec(text)?.[1];
        return {
          name,
          kind: kind as BotKind,
          text: pattern === undefined && text !== '' ? text : undefined,
          pattern,
        };
      }),
    ),
  );
}
