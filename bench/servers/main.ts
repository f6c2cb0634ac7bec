/** Process of a measured server. Arguments: framework, variant, directory. */
import { once } from 'node:events';
import type { Profiler } from 'node:inspector';
import { Session } from 'node:inspector';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { handleCalls } from '../support/child.ts';
import { buildExpress } from './express.ts';
import { buildFastify } from './fastify.ts';
import { type Addition, type Built, handled } from './handler.ts';
import { buildHono } from './hono.ts';
import { InMemoryClients } from './in-memory.ts';
import { buildKoa } from './koa.ts';
import { buildNode } from './node.ts';
import { type Sample, startSampling } from './sampler.ts';
import type { Framework, Variant } from './variant.ts';
import { VARIANTS, type VariantName } from './variants.ts';

export const FRAMEWORKS = {
  'node:http': buildNode,
  'Express 5': buildExpress,
  'Fastify 5': buildFastify,
  'Koa 3': buildKoa,
  'Hono 4': buildHono,
} satisfies Record<Framework, (addition: Addition) => Promise<Built>>;

/** State of a server at one moment. CPU time in µs, of the app's thread and of the whole process. */
export interface Mark {
  time: number;
  thread: number;
  process: number;
  handled: number;
  rss: number;
}

/** State of a server after the load. */
export interface End {
  handled: number;
  /** Number of hits in the storage; `undefined` for variants that store none. */
  stored: number | undefined;
  /** Time from the last request until everything is stored. In s. */
  catchUp: number;
}

if (process.argv[1] === import.meta.filename) {
  const [framework, name, directory] = process.argv.slice(2) as [Framework, VariantName, string];
  const variant: Variant = VARIANTS[name];
  const built = await FRAMEWORKS[framework]({
    options: variant.options?.(directory),
    middleware: variant.middleware?.(directory),
    plugIn: (app) => variant.plugIn?.(app as never, directory),
  });
  const tracking = await variant.track?.(built, directory);
  const server = built.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const profiler = new Session();
  const post = promisify(profiler.post.bind(profiler)) as (
    method: string,
    params?: object,
  ) => Promise<object>;

  let sample: (() => Sample) | undefined;
  let clients: InMemoryClients | undefined;

  handleCalls({
    port: () => (server.address() as AddressInfo).port,
    mark(): Mark {
      const thread = process.threadCpuUsage();
      const all = process.cpuUsage();
      return {
        time: performance.now(),
        thread: thread.user + thread.system,
        process: all.user + all.system,
        handled: handled.count,
        rss: process.memoryUsage.rss(),
      };
    },
    async 'request-from-memory'(requests: number): Promise<number> {
      clients ??= new InMemoryClients(server);
      const before = process.threadCpuUsage();
      await clients.send(requests);
      const { user, system } = process.threadCpuUsage(before);
      return (user + system) / requests;
    },
    'start-sampling'(): Sample {
      if (!tracking) throw new Error(`${name}: nothing is tracked, so there is nothing to sample`);
      sample = startSampling(tracking);
      return sample();
    },
    sample: () => sample!(),
    async profile() {
      profiler.connect();
      await post('Profiler.enable');
      await post('Profiler.setSamplingInterval', { interval: 200 });
      await post('Profiler.start');
    },
    async profiled() {
      return ((await post('Profiler.stop')) as { profile: Profiler.Profile }).profile;
    },
    async collect() {
      if (!globalThis.gc) throw new Error('started without --expose-gc');
      for (let i = 0; i < 2; i++) {
        globalThis.gc();
        await sleep(200);
      }
      return process.memoryUsage();
    },
    async end(): Promise<End> {
      const connections = promisify(server.getConnections.bind(server));
      while ((await connections()) > 0) await sleep(5);
      const started = performance.now();
      const hits = await tracking?.stored();
      return { handled: handled.count, stored: hits, catchUp: (performance.now() - started) / 1000 };
    },
  });
}
