/**
 * Runs programs (see `programs.ts`) on a server, bare or tracked, and reports everything that can be observed of each:
 * `program-app.ts <directory> <bare | append | group | power> <wrapped | plain>`. In `wrapped`, methods were replaced
 * before the first server was tracked.
 */
import { type EventEmitter, once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { JournalMode, TrackUsageError } from '../../src/index.ts';
import { type Program, type Step, WRAPPABLE } from './programs.ts';

export interface Observed {
  /** Events on the server's side, in order. */
  log: string[];
  /** What the client received, and how the connection ended. */
  wire: string;
  /** Requests that reached the handler. */
  requests: number;
  /** Of the tracked app. A connection that Node never reports as closed leaves its requests open. */
  counted?: { captured: number; problems: string[]; isClosed: boolean };
}

const [directory = '', mode = '', wrapping = ''] = process.argv.slice(2);

const PROTOTYPES: Record<string, Record<string, unknown>> = {
  OutgoingMessage: http.OutgoingMessage.prototype as never,
  ServerResponse: http.ServerResponse.prototype as never,
  Socket: net.Socket.prototype as never,
  Server: http.Server.prototype as never,
};

let log: string[] = [];
/** Sockets of the server under test: its client is in this process too. */
let sockets = new WeakSet<object>();

/** Replaces a method by one that reports its calls. Returns a function that restores it. */
function wrap(name: string): () => void {
  const [holder = '', method = ''] = name.split('.');
  const prototype = PROTOTYPES[holder]!;
  const own = Object.getOwnPropertyDescriptor(prototype, method);
  const before = prototype[method] as (...given: unknown[]) => unknown;
  prototype[method] = function (this: object, ...given: unknown[]) {
    const isOurs = this instanceof net.Socket ? sockets.has(this) : !(this instanceof http.ClientRequest);
    const what = method === 'emit' ? ` ${String(given[0])}` : '';
    if (isOurs) log.push(`wrapped ${name}${what} of ${given.length}`);
    return before.apply(this, given);
  };
  return () => {
    if (own) Object.defineProperty(prototype, method, own);
    else delete prototype[method];
  };
}

// Not those that only read or set headers: an earlier wrapper sees one more call because of ours.
if (wrapping === 'wrapped') for (const name of WRAPPABLE) if (!/Header$/.test(name)) wrap(name);
// After the wrappers, because a process that tracks nothing must not load it.
const tracked = mode === 'bare' ? undefined : await import('../../src/index.ts');

const codeOf = (error: unknown) => {
  const { code, name, message } = error as NodeJS.ErrnoException;
  return `${code ?? name}: ${message}`;
};
process.on('uncaughtException', (error) => log.push(`uncaught ${codeOf(error)}`));
process.on('unhandledRejection', (error) => log.push(`unhandled ${codeOf(error)}`));

function argumentOf(text: string, label: string): unknown {
  const [kind = '', ...rest] = text.split(':');
  const value = rest.join(':');
  const pairs = value.split(',').map((pair) => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)] as [string, string];
  });
  switch (kind) {
    case 'text':
      return value;
    case 'encoding':
      return value;
    case 'long':
      return 'x'.repeat(Number(value));
    case 'bytes':
      return Buffer.from(value);
    case 'status':
      return Number(value);
    case 'number':
      return 3;
    case 'ms':
      return 5;
    case 'null':
      return null;
    case 'object':
      return value === '' ? {} : Object.fromEntries(pairs);
    case 'flat':
      return pairs.flat();
    case 'pairs':
      return pairs;
    case 'odd':
      return ['x-one', '1', 'x-two'];
    case 'holes':
      return [['x-one', '1'], null];
    case 'map':
      return new Map([['x-one', '1']]);
    case 'hints':
      return { link: '</a.css>; rel=preload' };
    case 'error':
      return new Error('of the app');
    case 'callback':
      return (error?: unknown) => log.push(`${label} called back${error ? ` ${codeOf(error)}` : ''}`);
    default:
      return undefined;
  }
}

const shown = (value: unknown): string =>
  typeof value === 'object' && value !== null ? value.constructor.name : String(value);

/** Properties of a response that an app may read, if they can be read. */
function snapshot(response: ServerResponse, socket: Socket): string {
  const read = (of: object, names: string[]) =>
    names.map((name) => {
      try {
        const value = (of as Record<string, unknown>)[name];
        return `${name}=${typeof value === 'object' && value !== null ? codeOf(value) : value}`;
      } catch {
        return `${name} throws`;
      }
    });
  return [
    ...read(response, ['headersSent', 'statusCode', 'statusMessage', 'writableEnded', 'writableFinished']),
    ...read(response, ['writableLength', 'writableNeedDrain', 'destroyed', 'errored', 'shouldKeepAlive']),
    ...read(socket, ['writableLength', 'bytesWritten', 'destroyed', 'writableEnded', 'writableFinished']),
  ].join(' ');
}

function take(
  step: Step,
  server: http.Server,
  request: IncomingMessage,
  response: ServerResponse,
  label: string,
) {
  const given = step.given.map((value) => argumentOf(value, label));
  const { socket } = request.socket ? request : { socket: undefined as never };
  switch (step.on === 'app' ? step.call : '') {
    case '': {
      const on = { response, socket, server, app: undefined }[step.on] as unknown as Record<
        string,
        () => unknown
      >;
      return Reflect.apply(on[step.call]!, on, given);
    }
    case 'statusCode':
      response.statusCode = given[0] as number;
      return response.statusCode;
    case 'pipe':
      return Readable.from([given[0], given[0]]).pipe(response);
    case 'getter': {
      const [of, name = ''] = step.given[0]!.split(':');
      const target = of === 'request' ? request : response;
      return Object.defineProperty(target, name, {
        configurable: true,
        get() {
          throw new Error(`${name} of the app`);
        },
      });
    }
    case 'resume':
      return request.resume();
    case 'throw':
      throw new Error('of the app');
    case 'reject':
      return void Promise.reject(new Error('of the app'));
    default:
      return undefined;
  }
}

async function until(when: Step['when']): Promise<void> {
  if (when === 'tick') await new Promise<void>((resolve) => process.nextTick(resolve));
  if (when === 'microtask') await Promise.resolve();
  if (when === 'immediate') await new Promise<void>((resolve) => setImmediate(resolve));
  if (when === 'timeout') await pause(3);
}

function watch(emitter: EventEmitter, label: string, names: string[]): void {
  for (const name of names) {
    emitter.on(name, (...given: unknown[]) => {
      const said = given.map((one) =>
        one instanceof Error ? codeOf(one) : typeof one === 'boolean' ? one : '',
      );
      log.push(`${label} ${name} ${said.join(' ')}`.trim());
    });
  }
}

async function run(program: Program): Promise<Observed> {
  log = [];
  sockets = new WeakSet();
  let requests = 0;
  const socketOf = new WeakMap<object, Socket>();
  const server = http.createServer({ keepAliveTimeout: 1_000 }, (request, response) => {
    const label = `#${requests}`;
    const { steps = [] } = program.requests[requests++] ?? {};
    const { socket } = request;
    socketOf.set(response, socket);
    log.push(`${label} ${request.method}`);
    watch(response, `${label} response`, ['prefinish', 'finish', 'close', 'error', 'drain', 'timeout']);
    watch(request, `${label} request`, ['end', 'close', 'error', 'aborted']);
    const perform = (step: Step) => {
      const name = `${label} ${step.on}.${step.call}`;
      try {
        log.push(`${name} returned ${shown(take(step, server, request, response, name))}`);
      } catch (error) {
        log.push(`${name} threw ${codeOf(error)}`);
      }
      log.push(`  ${snapshot(response, socket)}`);
    };
    // The first step runs while `request` is emitted.
    let next = 0;
    while (steps[next]?.when === 'now') perform(steps[next++]!);
    void (async () => {
      for (const step of steps.slice(next)) {
        await until(step.when);
        perform(step);
      }
    })();
  });
  let open = 0;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    open += 1;
    socket.on('close', () => {
      open -= 1;
    });
    watch(socket, 'socket', ['close', 'error', 'timeout']);
  });
  watch(server, 'server', ['close', 'timeout']);
  const problems: string[] = [];
  const usage =
    tracked &&
    new tracked.TrackUsage(server, [], {
      geo: false,
      journal: { dir: directory, mode: mode as JournalMode },
      onError: (error) => problems.push((error as TrackUsageError).message),
    });
  const unwrap = program.wrapped.map(wrap);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  let wire = '';
  client.setEncoding('latin1');
  client.on('data', (text) => {
    wire += text;
  });
  client.on('end', () => {
    wire += '[end]';
  });
  client.on('error', ({ code }: NodeJS.ErrnoException) => {
    wire += `[${code}]`;
  });
  await once(client, 'connect');
  const messages = program.requests.map(({ method, version, headers, body }, i) =>
    [
      `${method} /${i} HTTP/${version}`,
      'Host: h',
      ...headers,
      ...(body === '' ? [] : [`Content-Length: ${body.length}`]),
      '',
      body,
    ].join('\r\n'),
  );
  for (const message of program.pipelined ? [messages.join('')] : messages) {
    if (!client.destroyed) client.write(message);
    await quiet(() => `${log.length} ${wire.length}`);
  }
  const observed = { log: [...log], wire: wire.replace(/\r\nDate: [^\r]*/g, ''), requests };
  client.destroy();
  server.closeAllConnections();
  if (server.listening) server.close();
  await quiet(() => String(log.length));
  for (const restore of unwrap.reverse()) restore();
  if (!usage) return observed;
  await usage.close();
  return { ...observed, counted: { captured: usage.status().captured, problems, isClosed: open === 0 } };
}

/** Resolves when nothing has happened for some time. */
async function quiet(state: () => string): Promise<void> {
  for (let calm = 0, last = state(); calm < 3; ) {
    await pause(4);
    const now = state();
    calm = now === last ? calm + 1 : 0;
    last = now;
  }
}

process.on('message', async (program: Program) => process.send!(await run(program)));
process.on('disconnect', () => process.exit());
process.send!('ready');
