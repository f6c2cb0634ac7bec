import type { BotKind } from './kinds.ts';
import { knownBots } from './known-bots.ts';

/** Kinds of names that no list knows, by a part of the name. The first one that matches counts. */
const LIKELY_KINDS: readonly (readonly [pattern: RegExp, kind: BotKind])[] = [
  [/^(?:google|yandex|bing)/i, 'search'],
  [/scan|nmap|exploit|fuzz|pentest|security/i, 'scanner'],
  [/feed|rss|podcast/i, 'feed'],
  [/monitor|uptime|health|probe|ping|status/i, 'monitoring'],
  [/preview|unfurl|embed/i, 'social'],
  [/gpt|llm|\bai\b|-ai|ai-/i, 'ai'],
  [/seo|backlink|rank/i, 'seo'],
  [/search/i, 'search'],
  [/bot|crawl|spider|archiv/i, 'other'],
  [/http|client|python|java|perl|ruby|php|curl|fetch|request|sdk|lib/i, 'library'],
];

let kinds: Map<string, BotKind> | undefined;

/**
 * Returns the kind of a bot by its name in `sumBots`, in any case. For names that no list knows, the kind is derived
 * from the name.
 */
export function botKind(name: string): BotKind {
  kinds ??= new Map(knownBots().map(({ name: known, kind }) => [known.toLowerCase(), kind]));
  return (
    kinds.get(name.toLowerCase()) ?? LIKELY_KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? 'other'
  );
}
