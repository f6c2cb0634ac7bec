import type { NestApp } from '../frameworks/index.ts';
import { TrackUsage } from '../tracker/tracker.ts';
import { type UsageSource, usageOf } from './usage-source.ts';

/** How a module of Nest tells of itself, by structural types: ours need no Nest. */
export interface TrackUsageDynamicModule {
  module: TrackUsageModuleClass;
  global: true;
  // biome-ignore lint/suspicious/noExplicitAny: modules, tokens and factories are any in Nest's own types
  imports: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  providers: { provide: any; inject: any[]; useFactory(...given: any[]): any }[];
  exports: (typeof TrackUsage)[];
}

/** As of other modules of Nest: the options come from a function, which may be given providers. */
export interface TrackUsageAsyncOptions {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  imports?: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  inject?: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  useFactory(...given: any[]): UsageSource | Promise<UsageSource>;
}

/** The module that `track-usage/nest` exports. */
export interface TrackUsageModuleClass {
  new (): object;
  forRoot(source: UsageSource): TrackUsageDynamicModule;
  forRootAsync(options: TrackUsageAsyncOptions): TrackUsageDynamicModule;
}

const SOURCE = Symbol('track-usage source');
const LIFE = Symbol('track-usage life');

/**
 * Makes the module.
 * @param adapterHost `HttpAdapterHost` of the app's `@nestjs/core`, by which Nest hands out the platform.
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

/** Nest calls it when the app starts and has ended. A context without HTTP has nothing to track. */
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
