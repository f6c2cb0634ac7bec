import { HttpAdapterHost } from '@nestjs/core';
import { createTrackUsageModule, type TrackUsageModuleClass } from './nest-module.ts';

export type {
  TrackUsageAsyncOptions,
  TrackUsageDynamicModule,
  TrackUsageModuleClass,
} from './nest-module.ts';

/**
 * Tracks the app that imports it, on Express or Fastify: `TrackUsageModule.forRoot({ storages })`, or with a
 * TrackUsage `{ usage }`. Providers and controllers can be given the `TrackUsage`. What it makes of `storages` is
 * closed when the app has closed; on a signal, with `app.enableShutdownHooks()`.
 */
export const TrackUsageModule: TrackUsageModuleClass = createTrackUsageModule(HttpAdapterHost);
