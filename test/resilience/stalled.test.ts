import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { TrackUsage } from '../../src/index.ts';
import { JOURNAL_MODES } from '../../src/journal/journal.ts';
import { temporaryDirectory } from '../journal/support.ts';
import { stalledStorage } from './stalled-storage.ts';
import { serverHits } from './support.ts';

const HOLD = 1_500;

test.each(JOURNAL_MODES)(
  'a stalled disk delays one request, and all completed responses are stored after SIGKILL (%s)',
  { timeout: 60_000 },
  async (mode) => {
    const directory = temporaryDirectory();
    const child = fork(join(import.meta.dirname, 'stalled-app.ts'), [directory, mode]);
    onTestFinished(() => void child.kill('SIGKILL'));
    const [port] = (await once(child, 'message')) as [number];
    const command = async (message: { stall: number } | 'release' | 'status') => {
      child.send(message);
      const [report] = await once(child, 'message');
      return report as { journal: { state: string; slowAppends: number }; kept: string[] };
    };
    let answered = 0;
    const ask = async (count: number) => {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const began = performance.now();
        const response = await fetch(`http://127.0.0.1:${port}/`);
        expect(await response.text()).toBe('hello');
        answered += 1;
        times.push(performance.now() - began);
      }
      return times;
    };
    await ask(20);
    await command({ stall: HOLD });
    const times = await ask(50);
    const { journal, kept } = await command('status');
    expect(kept).toEqual(['writeSync']);
    expect(journal).toMatchObject({ state: 'memory', slowAppends: 1 });
    expect(times.filter((time) => time >= HOLD)).toHaveLength(1);
    await command('release');
    await vi.waitFor(async () => expect((await command('status')).journal.state).toBe('file'), 10_000);
    await ask(20);
    child.kill('SIGKILL');
    await once(child, 'exit');

    const usage = new TrackUsage(null, stalledStorage(directory, 'works'), {
      geo: false,
      journal: { dir: directory },
    });
    onTestFinished(() => usage.close());
    await vi.waitFor(() => expect(usage.status().storages[0]!.adopted).toBe(answered), 20_000);
    expect(await serverHits(usage)).toBe(answered);
    expect(usage.status().storages[0]).toMatchObject({ lost: 0, rejected: 0 });
  },
);
