/**
 * Module of NestJS.
 * @module track-usage/nest
 */
import { HttpAdapterHost } from '@nestjs/core';
import { createTrackUsageModule, type TrackUsageModuleClass } from './nest-module.ts';

export type {
  TrackUsageAsyncOptions,
  TrackUsageDynamicModule,
  TrackUsageModuleClass,
} from './nest-module.ts';
export type { UsageSource } from './usage-source.ts';

/**
 * Tracks the app that imports it, on Express or Fastify: `TrackUsageModule.forRoot({ storages })`, or `{
 * usage }` with a TrackUsage. The `TrackUsage` can be injected in providers and controllers. One created from
 * `storages` is closed after the app has closed; on a signal, this requires `app.enableShutdownHooks()`.
 */
export const TrackUsageModule: TrackUsageModuleClass = createTrackUsageModule(HttpAdapterHost);
