/** The writer's thread: reads the journals, enriches, folds, and hands each storage its batches. */
import { parentPort, workerData } from 'node:worker_threads';
import { clearInterval, setInterval } from '../clock.ts';
import { reasonOf, TrackUsageError } from '../errors.ts';
import { SharedState } from '../journal/shared.ts';
import { plainError } from '../threads.ts';
import { Enricher } from './enrich.ts';
import { openGeo } from './geo.ts';
import { emptyJournal, Journals } from './journals.ts';
import { Lane } from './lane.ts';
import type { FromWriter, ToWriter, WriterData } from './protocol.ts';
import { AppCalls } from './remote.ts';
import { Traffic } from './traffic.ts';

/** How often journals of dead processes are looked for. In ms. */
const ADOPTION_INTERVAL = 3_000;

const data = workerData as WriterData;
const shared = new SharedState(data.shared);
const journals = new Journals(data.directory, data.journal, shared, data.storages.length);
const traffic = new Traffic(journals.own, data.counted);
const waiting: { id: number; end: number }[] = [];
let closing = false;

const send = (message: FromWriter): void => parentPort!.postMessage(message);
const onProblem = (error: TrackUsageError): void => send({ type: 'problem', error: plainError(error) });

const calls = new AppCalls((call) => send({ type: 'call', ...call }));
// It brings the client for HTTP, which costs memory and time where nobody uses it.
const service = data.freeGeoIp && new (await import('./free-geo-ip.ts')).FreeGeoIp(data.freeGeoIp, onProblem);
const enricher = new Enricher(geo(), service);
const lanes = data.storages.map(
  (_, storage): Lane =>
    new Lane(storage, data, journals, traffic, enricher, calls, {
      onStatus: () => onStatus(storage),
      onProblem,
      onStored: (records, units) => send({ type: 'stored', storage, records, units }),
    }),
);
journals.adopt();
const adoption = setInterval(() => journals.adopt(), ADOPTION_INTERVAL);
const running = Promise.all(lanes.map((lane) => lane.run()));

parentPort!.on('message', (message: ToWriter) => {
  if (message.type === 'result') {
    calls.answer(message);
    return;
  }
  if (message.type === 'called') {
    lanes[message.storage]!.called(message);
    return;
  }
  if (message.type === 'memory') {
    const { bytes } = message.piece;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    journals.own.memory.push({ ...message.piece, bytes: view });
    return;
  }
  if (message.type === 'metrics') {
    send({ type: 'metrics', id: message.id, ...traffic.answer(message.openMetrics) });
    return;
  }
  waiting.push({ id: message.id, end: shared.end });
  for (const lane of lanes) lane.wake();
  if (message.type === 'close') closing = true;
  answer();
});

function onStatus(number: number): void {
  if (service) send({ type: 'free-geo-ip', status: service.status });
  send({ type: 'status', storage: number, status: lanes[number]!.status });
  answer();
}

/** Tells those who wait for it that every storage has what they wanted stored. */
function answer(): void {
  if (!lanes.every(({ status }) => status.opened && !status.error)) return;
  const position = Math.min(...lanes.map(({ status }) => status.position));
  for (const { id } of waiting.filter(({ end }) => end <= position)) {
    waiting.splice(
      waiting.findIndex((other) => other.id === id),
      1,
    );
    if (closing && waiting.length === 0) void close(id);
    else send({ type: 'done', id });
  }
}

async function close(id: number): Promise<void> {
  clearInterval(adoption);
  const gone = emptyJournal(journals.own.directory);
  for (const lane of lanes) lane.stop(gone);
  await running;
  journals.release();
  send({ type: 'done', id });
  parentPort!.close();
}

/** A database that cannot be read costs the countries, not the rest. */
function geo() {
  try {
    return openGeo(data.geo);
  } catch (error) {
    onProblem(
      error instanceof TrackUsageError
        ? error
        : new TrackUsageError('GEO_UNREADABLE', { value: 'geo', reason: reasonOf(error) }),
    );
    return undefined;
  }
}
