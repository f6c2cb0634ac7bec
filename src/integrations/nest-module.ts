import type { NestApp } from '../frameworks/index.ts';
import { TrackUsage } from '../tracker/tracker.ts';
import { type UsageSource, usageOf } from './usage-source.ts';

/** Dynamic module of Nest. Structural, so that our types do not import Nest. */
export interface TrackUsageDynamicModule {
  /** Class of the module. */
  module: TrackUsageModuleClass;
  /** Makes `TrackUsage` available in all modules. */
  global: true;
  /** Modules that provide what `inject` names. */
  // biome-ignore lint/suspicious/noExplicitAny: modules, tokens and factories are any in Nest's own types
  imports: any[];
  /** Provider of `TrackUsage`, and those that connect it to the life of the app. */
  providers: {
    /** Token of the provider. */
    // biome-ignore lint/suspicious/noExplicitAny: as above
    provide: any;
    /** Tokens of the factory's arguments. */
    // biome-ignore lint/suspicious/noExplicitAny: as above
    inject: any[];
    /** Creates the value that is injected. */
    // biome-ignore lint/suspicious/noExplicitAny: as above
    useFactory(...given: any[]): any;
  }[];
  /** Providers that other modules can inject. */
  exports: (typeof TrackUsage)[];
}

/** Asynchronous options, as in other Nest modules: a function returns them, and may receive providers. */
export interface TrackUsageAsyncOptions {
  /** Modules that provide what `inject` names. Defaults to none. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  imports?: any[];
  /** Tokens of the providers that are passed to `useFactory`. Defaults to none. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  inject?: any[];
  /** Returns a TrackUsage, or the arguments to create one. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  useFactory(...given: any[]): UsageSource | Promise<UsageSource>;
}

/** Module exported by `track-usage/nest`. */
export interface TrackUsageModuleClass {
  new (): object;
  /** Creates the module from a TrackUsage, or from the arguments to create one. */
  forRoot(source: UsageSource): TrackUsageDynamicModule;
  /** Creates the module from the result of a function, for example with a `ConfigService`. */
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
