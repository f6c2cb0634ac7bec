/**
 * Plugin of Fastify.
 * @module track-usage/fastify
 */
import { type FastifyApp, hookFastify, trackFastify } from '../frameworks/fastify.ts';
import { refuseTrust } from '../frameworks/node.ts';
import { checkOption } from '../options/checks.ts';
import { captureOf, type UsageSource, usageOf } from './usage-source.ts';

export type { UsageSource } from './usage-source.ts';

/** Options of the plugin. */
export type TrackUsagePluginOptions = UsageSource & {
  /**
   * Tracks only the routes of the instance on which it is registered, and of nested instances.
   * Defaults to false.
   */
  encapsulate?: boolean;
};

/**
 * Plugin of Fastify 4 and 5: `app.register(trackUsage, { storages })`, or `{ usage }` with a TrackUsage.
 * Tracks every request of the server. A TrackUsage created from `storages` is closed after the app has
 * closed.
 */
export async function trackUsage(app: FastifyApp, options: TrackUsagePluginOptions): Promise<void> {
  const { encapsulate = false, ...source } = options;
  checkOption('encapsulate', encapsulate, typeof encapsulate === 'boolean', 'true or false');
  const { usage, isOwn } = usageOf('track-usage/fastify', source);
  // Fastify calls it after connections have ended.
  if (isOwn) app.addHook('onClose' as never, (async () => usage.close()) as never);
  const { capture, trust } = captureOf(usage);
  refuseTrust('Fastify', trust);
  if (encapsulate) hookFastify(app, capture);
  else trackFastify(app, capture);
}

// Like `fastify-plugin`, uses the parent's instance instead of a nested one.
Object.assign(trackUsage, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'track-usage',
  [Symbol.for('plugin-meta')]: { name: 'track-usage', fastify: '>=4' },
});

export default trackUsage;
