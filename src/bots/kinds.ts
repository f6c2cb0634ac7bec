/**
 * Kinds of bots: search engines, AI crawlers, SEO tools, monitoring, feed readers, social networks and messengers that
 * show a preview of a link, programs and libraries, security scanners, and all others.
 */
export const BOT_KINDS = [
  'search',
  'ai',
  'seo',
  'monitoring',
  'feed',
  'social',
  'library',
  'scanner',
  'other',
] as const;
/**
 * Kind of a bot: see `BOT_KINDS`.
 * @useDeclaredType
 */
export type BotKind = (typeof BOT_KINDS)[number];
