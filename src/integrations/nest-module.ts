import type { NestApp } from '../frameworks/index.ts';
import { TrackUsage } from '../tracker/tracker.ts';
import { type UsageSource, usageOf } from './usage-source.ts';

/** Dynamic module of Nest. Structural, so that our types do not import Nest. */
export interface TrackUsageDynamicModule {
  module: TrackUsageModuleClass;
  global: true;
  // biome-ignore lint/suspicious/noExplicitAny: modules, tokens and factories are any in Nest's own types
  imports: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  providers: { provide: any; inject: any[]; useFactory(...given: any[]): any }[];
  exports: (typeof TrackUsage)[];
}

/** Asynchronous options, as in other Nest modules: a function returns them, and may receive providers. */
export interface TrackUsageAsyncOptions {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  imports?: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  inject?: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  useFactory(...given: any[]): UsageSource | Promise<UsageSource>;
}

/** Module exported by `track-usage/nest`. */
export interface TrackUsageModuleClass {
  new (): object;
  forRoot(source: UsageSource): TrackUsageDynamicModule;
  forRootAsync(options: TrackUsageAsyncOptions): TrackUsageDynamicModule;
}

const SOURCE = Symbol('track-usage source');
const LIFE = Symbol('track-usage life');

/**
 * Creates the module.
 * @param adapterHost `HttpAdapterHost` of the app's `@nestjs/core`, through which Nest exposes the platform.
 */
export function createTrackUsageModule(adapterHost: unknown): TrackUsageModuleClass {
  // biome-ignore lint/complexity/noStaticOnlyClass: Nest knows modules by their class
  return class TrackUsageModule {
    static forRoot(source: UsageSource): TrackUsageDynamicModule {
      return TrackUsageModule.forRootAsync({ useFactory: () => source });
    }

    static forRootAsync(options: TrackUsageAsyncOptions): TrackUsageDynamicModule {
      const { imports = [], inject = [], useFactory } = options;
      return {
        module: TrackUsageModule,
        global: true,
        imports,
        providers: [
          {
            provide: SOURCE,
            inject,
            useFactory: async (...given) => usageOf('TrackUsageModule', await useFactory(...given)),
          },
          { provide: TrackUsage, inject: [SOURCE], useFactory: ({ usage }: Source) => usage },
          { provide: LIFE, inject: [adapterHost, SOURCE], useFactory: lifeOf },
        ],
        exports: [TrackUsage],
      };
    }
  };
}

type Source = ReturnType<typeof usageOf>;

/**
 * Returns lifecycle hooks, which Nest calls when the app starts and after it has ended. A context without
 * HTTP has nothing to track.
 */
function lifeOf({ httpAdapter }: { httpAdapter?: unknown }, { usage, isOwn }: Source) {
  return {
    onModuleInit() {
      if (httpAdapter) usage.attach({ getHttpAdapter: () => httpAdapter } as NestApp);
    },
    async onApplicationShutdown() {
      if (isOwn) await usage.close();
    },
  };
}
