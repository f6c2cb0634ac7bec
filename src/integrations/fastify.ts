import { type FastifyApp, hookFastify, trackFastify } from '../frameworks/fastify.ts';
import { refuseTrust } from '../frameworks/node.ts';
import { checkOption } from '../options/checks.ts';
import { captureOf, type UsageSource, usageOf } from './usage-source.ts';

/** What the plugin is registered with. */
export type TrackUsagePluginOptions = UsageSource & {
  /** Whether only the routes of the instance are tracked that it is registered on, and of those in it. Defaults to false. */
  encapsulate?: boolean;
};

/**
 * Plugin of Fastify 4 and 5: `app.register(trackUsage, { storages })`, or with a TrackUsage `{ usage }`. Tracks
 * every request of the server. What it makes of `storages` is closed when the app has closed.
 */
export async function trackUsage(app: FastifyApp, options: TrackUsagePluginOptions): Promise<void> {
  const { encapsulate = false, ...source } = options;
  checkOption('encapsulate', encapsulate, typeof encapsulate === 'boolean', 'true or false');
  const { usage, isOwn } = usageOf('track-usage/fastify', source);
  // Fastify calls it when connections have ended.
  if (isOwn) app.addHook('onClose' as never, (async () => usage.close()) as never);
  const { capture, trust } = captureOf(usage);
  refuseTrust('Fastify', trust);
  if (encapsulate) hookFastify(app, capture);
  else trackFastify(app, capture);
}

// As `fastify-plugin` does it: the instance is that of the surroundings, not one inside it.
Object.assign(trackUsage, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'track-usage',
  [Symbol.for('plugin-meta')]: { name: 'track-usage', fastify: '>=4' },
});

export default trackUsage;
