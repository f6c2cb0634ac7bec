import type { Profiler } from 'node:inspector';
import type { Framework } from './servers/variant.ts';
import { LINE_UP } from './servers/variants.ts';
import type { Child } from './support/child.ts';
import { table } from './support/figures.ts';
import { requireLoadTools, withServer } from './support/load.ts';
import { type BenchOptions, progress, type Report } from './support/options.ts';
import { installPeers } from './support/peers.ts';

const ROWS = 25;

/** Profiles the app's thread: self time of the functions of a server with track-usage under load. */
export async function run({ quick, frameworks }: BenchOptions): Promise<Report> {
  requireLoadTools();
  installPeers();
  const tables: Report['tables'] = [];
  const data: Record<string, Profiler.Profile> = {};
  for (const framework of frameworks.length > 0 ? frameworks : (Object.keys(LINE_UP) as Framework[])) {
    progress(`profile: ${framework}`);
    let profile!: Profiler.Profile;
    const { begin, finish } = await withServer(framework, 'track-usage', (loaded) =>
      loaded.measure(quick ? { warmUp: 0.5, measured: 1 } : { warmUp: 2, measured: 8 }, {
        begin: (server: Child) => server.call('profile'),
        finish: async (server: Child) => {
          profile = await server.call<Profiler.Profile>('profiled');
        },
      }),
    );
    data[framework] = profile;
    tables.push({ title: framework, text: tableOf(profile, finish.handled - begin.handled) });
  }
  return {
    title: 'CPU profile of the app thread',
    method:
      'Self time in the app thread, sampled every 200 µs. Functions inlined by V8 count for their caller. `a ← b`: a native function `a`, called by `b`.',
    tables,
    data,
  };
}

interface Callee {
  name: string;
  ours: boolean;
  /** True if it has no source location: native functions, and files of Node that only call others. */
  isNative: boolean;
}

function functionOf({ functionName, url, lineNumber }: Profiler.ProfileNode['callFrame']): Callee {
  const file = url.replace(/^.*\/(?=track-usage-bench-\d+\/|node_modules\/)/, '');
  const ours = /^track-usage-bench-\d+\//.test(file);
  const location = file === '' ? '' : ` ${file.replace(/^track-usage-bench-\d+\//, '')}:${lineNumber + 1}`;
  return {
    name: `${functionName || '(anonymous)'}${location}`,
    ours,
    isNative: file === '' || file === 'node:fs' || file === 'node:buffer',
  };
}

function tableOf(profile: Profiler.Profile, requests: number): string {
  const functions = new Map(profile.nodes.map(({ id, callFrame }) => [id, functionOf(callFrame)]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  );
  /** Returns the label of a function. A native function called by us counts for us. */
  const labelOf = (id: number): Callee => {
    const called = functions.get(id)!;
    let caller = id;
    while (functions.get(caller)?.isNative) caller = parents.get(caller) ?? -1;
    const by = functions.get(caller);
    return caller === id || !by?.ours ? called : { ...by, name: `${called.name} ← ${by.name}` };
  };
  const self = new Map<string, { time: number; ours: boolean }>();
  profile.samples!.forEach((id, i) => {
    const { name, ours } = labelOf(id);
    const known = self.get(name) ?? { time: 0, ours };
    known.time += profile.timeDeltas![i]!;
    self.set(name, known);
  });
  const row = ([name, { time }]: [string, { time: number }]) => [name, (time / requests).toFixed(2)];
  const sorted = [...self].sort((a, b) => b[1].time - a[1].time);
  const sum = (list: typeof sorted) => list.reduce((total, [, { time }]) => total + time, 0);
  const ours = sorted.filter(([, { ours }]) => ours);
  const others = sorted.filter(
    ([name, { ours }]) => !ours && !/^\((?:idle|root)\)|^post node:inspector/.test(name),
  );
  return table(
    ['function', 'µs/request'],
    [
      ...ours.slice(0, ROWS).map(row),
      row(['track-usage, total', { time: sum(ours) }]),
      ...others.slice(0, ROWS).map(row),
      row(['everything else, total', { time: sum(others) }]),
    ],
  );
}
