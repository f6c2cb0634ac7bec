/** Random handlers: what an app may do with its requests, responses, sockets and server. */
import fc from 'fast-check';

/** When a step runs, relative to the previous one. */
const WHEN = ['now', 'now', 'now', 'tick', 'microtask', 'immediate', 'timeout'] as const;

/** A call of a method, or an action of the app itself (`!throw`), with arguments by name: see `argumentOf`. */
export interface Step {
  when: (typeof WHEN)[number];
  on: 'response' | 'socket' | 'server' | 'app';
  call: string;
  given: string[];
}

export interface Program {
  requests: { method: string; version: string; headers: string[]; body: string; steps: Step[] }[];
  /** All requests in one write; otherwise one after the other. */
  pipelined: boolean;
  /** Methods that the app replaces after the server is tracked. */
  wrapped: string[];
}

const TEXTS = [
  'text:',
  'text:a',
  'text:späße',
  'long:600',
  'long:20000',
  'long:90000',
  'bytes:abc',
  'bytes:',
];
const WRONG = ['null', 'number', 'object', 'undefined'];
const HEADERS = [
  'undefined',
  'null',
  'object:x-one=1',
  'object:content-length=5',
  'object:content-length=0',
  'object:transfer-encoding=chunked',
  'object:connection=close',
  'object:set-cookie=a=1',
  'object:bad name=1',
  'object:x-bad=\u0001',
  'flat:x-one=1,x-one=2',
  'flat:content-length=3',
  'flat:set-cookie=a=1,set-cookie=b=2',
  'odd',
  'pairs:x-one=1,x-two=2',
  'pairs:content-length=7',
  'pairs:set-cookie=a=1',
  'holes',
  'map',
];
const STATUSES = ['status:200', 'status:200', 'status:404', 'status:204', 'status:304', 'status:500'];
const WRONG_STATUSES = ['status:99', 'status:1000', 'text:teapot', 'undefined'];

const of = (...values: string[]) => fc.constantFrom(...values);
const list = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts) as fc.Arbitrary<string[]>;
const step = (
  on: Step['on'],
  call: string,
  given: fc.Arbitrary<string[]> = fc.constant([]),
): fc.Arbitrary<Step> =>
  fc.record({ when: fc.constantFrom(...WHEN), on: fc.constant(on), call: fc.constant(call), given });

const chunk = of(...TEXTS);
const anyChunk = fc.oneof({ weight: 8, arbitrary: chunk }, { weight: 1, arbitrary: of(...WRONG) });
const status = fc.oneof(
  { weight: 8, arbitrary: of(...STATUSES) },
  { weight: 1, arbitrary: of(...WRONG_STATUSES) },
);

const body: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: step('response', 'write', list(anyChunk)) },
  { weight: 2, arbitrary: step('response', 'write', list(chunk, of('encoding:latin1'), of('callback'))) },
  { weight: 1, arbitrary: step('response', 'write', list(chunk, of('callback'))) },
  { weight: 4, arbitrary: step('response', 'writeHead', list(status, of(...HEADERS))) },
  { weight: 2, arbitrary: step('response', 'writeHead', list(status, of('text:Reason'), of(...HEADERS))) },
  { weight: 1, arbitrary: step('response', 'writeHead', list(status)) },
  {
    weight: 4,
    arbitrary: step(
      'response',
      'setHeader',
      fc.oneof(
        list(of('text:x-set'), of('text:1', 'text:\u0001', 'undefined')),
        list(of('text:content-length'), of('number', 'text:2', 'text:0', 'text:nonsense')),
        list(of('text:set-cookie'), of('text:a=1')),
        list(of('text:cache-control'), of('text:public')),
        list(of('text:trailer'), of('text:x-late')),
      ),
    ),
  },
  { weight: 1, arbitrary: step('response', 'removeHeader', list(of('text:x-set', 'text:content-length'))) },
  { weight: 2, arbitrary: step('response', 'flushHeaders') },
  { weight: 1, arbitrary: step('response', 'cork') },
  { weight: 1, arbitrary: step('response', 'uncork') },
  { weight: 1, arbitrary: step('response', 'addTrailers', list(of('object:x-late=1'))) },
  { weight: 1, arbitrary: step('response', 'writeContinue') },
  { weight: 1, arbitrary: step('response', 'writeProcessing') },
  { weight: 1, arbitrary: step('response', 'writeEarlyHints', list(of('hints'))) },
  { weight: 1, arbitrary: step('app', 'statusCode', list(status)) },
  { weight: 1, arbitrary: step('app', 'pipe', list(of('text:ab', 'long:20000'))) },
  { weight: 1, arbitrary: step('app', 'resume') },
  { weight: 1, arbitrary: step('app', 'wait') },
  {
    weight: 1,
    arbitrary: step(
      'app',
      'getter',
      list(
        of('method', 'url', 'headers', 'rawHeaders', 'socket', 'httpVersion').map(
          (name) => `request:${name}`,
        ),
      ),
    ),
  },
  {
    weight: 1,
    arbitrary: step(
      'app',
      'getter',
      list(of('headersSent', 'statusCode', 'getHeader', 'socket', 'req').map((name) => `response:${name}`)),
    ),
  },
);

const ending: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: step('response', 'end') },
  { weight: 8, arbitrary: step('response', 'end', list(anyChunk)) },
  { weight: 2, arbitrary: step('response', 'end', list(chunk, of('encoding:latin1'), of('callback'))) },
  { weight: 1, arbitrary: step('response', 'end', list(of('callback'))) },
  { weight: 1, arbitrary: step('response', 'destroy') },
  { weight: 1, arbitrary: step('response', 'destroy', list(of('error'))) },
  { weight: 1, arbitrary: step('app', 'throw') },
  { weight: 1, arbitrary: step('app', 'reject') },
);

/** Actions of an app in the turn in which it responded. */
const after: fc.Arbitrary<Step> = fc.oneof(
  step('socket', 'destroy'),
  step('socket', 'destroySoon'),
  step('socket', 'resetAndDestroy'),
  step('socket', 'end'),
  step('socket', 'end', list(of('text:raw'))),
  step('socket', 'write', list(of('text:raw', 'bytes:raw'))),
  step('socket', 'setTimeout', list(of('number', 'ms'))),
  step('socket', 'cork'),
  step('socket', 'uncork'),
  step('socket', 'pause'),
  step('server', 'close'),
  step('server', 'closeIdleConnections'),
  step('server', 'closeAllConnections'),
  step('server', 'setTimeout', list(of('ms'))),
  step('response', 'end', list(chunk)),
  step('response', 'write', list(chunk)),
  step('response', 'setTimeout', list(of('ms'))),
  step('response', 'setHeader', list(of('text:x-late'), of('text:1'))),
);

const steps = fc
  .tuple(
    fc.array(body, { maxLength: 4 }),
    fc.option(ending, { nil: undefined, freq: 8 }),
    fc.array(after, { maxLength: 2 }),
  )
  .map(([before, end, late]) => [...before, ...(end ? [end] : []), ...late]);

const request = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
  version: fc.constantFrom('1.1', '1.1', '1.1', '1.0'),
  headers: fc.subarray(['Connection: close', 'Expect: 100-continue', 'Connection: keep-alive'], {
    maxLength: 1,
  }),
  body: fc.constantFrom('', '', 'body', 'b'.repeat(20_000)),
  steps,
});

/** Methods, by the prototype that has them. */
export const WRAPPABLE = [
  'OutgoingMessage.write',
  'OutgoingMessage.end',
  'OutgoingMessage.flushHeaders',
  'OutgoingMessage.setHeader',
  'OutgoingMessage.getHeader',
  'ServerResponse.write',
  'ServerResponse.end',
  'ServerResponse.writeHead',
  'Socket.write',
  'Socket.end',
  'Socket.destroy',
  'Socket._destroy',
  'Socket._final',
  'Socket.uncork',
  'Server.emit',
  'Server.close',
  'Server.closeIdleConnections',
];

export const program: fc.Arbitrary<Program> = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 3 }),
  pipelined: fc.boolean(),
  wrapped: fc.subarray(WRAPPABLE, { maxLength: 3 }),
});
