import http from 'node:http';
import type { Express, NextFunction, Request, Response } from 'express';
import { describe, expect, test } from 'vitest';
import type { TrackedApp } from '../../src/frameworks/index.ts';
import { type ClientRequest, http1Client } from '../support/client.ts';
import { closeServer, EXPRESSES, listen } from '../support/engines.ts';
import { expectErrors } from '../support/expected-errors.ts';
import { Recorder } from '../support/recorder.ts';

// Express prints what its handlers throw.
expectErrors(
  /broken|short and stout|too late|Invalid (?:status code|character in header)|Failed to decode|null values|"chunk" argument|Cannot set headers/,
);

type CreateApp = () => Express;

interface Case {
  name: string;
  /** Set up the app: `early` before it is tracked, `app` after. */
  early?(app: Express, make: CreateApp): void;
  app?(app: Express, make: CreateApp): void;
  request?: ClientRequest;
  /** Status and body length that the client receives, with and without tracking. -1 for Express's error page. */
  expected: [status: number, bytes: number];
  versions?: string;
}

class Teapot extends Error {
  readonly status = 418;
}

const respond = (_request: Request, response: Response) => void response.send('fine');

const CASES: Case[] = [
  {
    name: 'a handler throws',
    app: (app) =>
      app.get('/', () => {
        throw new Error('broken');
      }),
    expected: [500, -1],
  },
  {
    name: 'a handler throws an error with a status',
    app: (app) =>
      app.get('/', () => {
        throw new Teapot('short and stout');
      }),
    expected: [418, -1],
  },
  {
    name: 'next(error)',
    app: (app) => app.get('/', (_request, _response, next) => next(new Error('broken'))),
    expected: [500, -1],
  },
  {
    name: 'an async handler rejects',
    app: (app) =>
      app.get('/', async () => {
        throw new Error('broken');
      }),
    expected: [500, -1],
    versions: 'Express 5',
  },
  {
    name: 'error middleware responds',
    app: (app) => {
      app.get('/', () => {
        throw new Error('broken');
      });
      app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
        response.status(503).send(`sorry: ${error.message}`);
      });
    },
    expected: [503, 13],
  },
  {
    name: 'error middleware throws too',
    app: (app) => {
      app.get('/', () => {
        throw new Error('broken');
      });
      app.use((_error: Error, _request: Request, _response: Response, _next: NextFunction) => {
        throw new Error('broken too');
      });
    },
    expected: [500, -1],
  },
  { name: 'no handler responds: 404', app: (app) => app.get('/other', respond), expected: [404, -1] },
  {
    name: 'a path that cannot be decoded',
    request: { path: '/a/%ff' },
    app: (app) => app.get('/a/:b', respond),
    expected: [400, -1],
  },
  {
    name: 'middleware added before tracking responds',
    early: (app) => app.use((_request, response) => void response.status(401).send('who?')),
    app: (app) => app.get('/', respond),
    expected: [401, 4],
  },
  { name: 'a route added before tracking', early: (app) => app.get('/', respond), expected: [200, 4] },
  {
    name: "next('router')",
    app: (app, make) => {
      const inner = make();
      inner.get('/', (_request, _response, next) => next('router'));
      inner.get('/', () => {
        throw new Error('never reached');
      });
      app.use(inner);
      app.get('/', respond);
    },
    expected: [200, 4],
    // In Express 4, next('router') does not leave a mounted app.
    versions: 'Express 5',
  },
  {
    name: "next('route')",
    app: (app) => {
      app.get('/', (_request, _response, next) => next('route'), respond);
      app.get('/', (_request, response) => void response.send('second'));
    },
    expected: [200, 6],
  },
  {
    name: 'an invalid status code, then the error page',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.statusCode = 9999;
        response.end('x');
      }),
    expected: [500, -1],
  },
  {
    name: 'an invalid status code with writeHead, then the error page',
    app: (app) => app.get('/', (_request, response) => void response.writeHead(20, { 'Content-Length': 3 })),
    expected: [500, -1],
  },
  {
    name: 'an invalid header, then the error page',
    app: (app) => app.get('/', (_request, response) => void response.writeHead(200, { 'X-Bad': 'a\nb' })),
    expected: [500, -1],
  },
  {
    name: 'end(number), then the error page',
    app: (app) => app.get('/', (_request, response) => void response.end(5)),
    expected: [500, -1],
  },
  {
    name: 'write(object), then the error page',
    app: (app) => app.get('/', (_request, response) => void response.write({})),
    expected: [500, -1],
  },
  {
    name: 'write(null), then the error page',
    app: (app) => app.get('/', (_request, response) => void response.write(null)),
    expected: [500, -1],
  },
  {
    name: 'end() twice',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.on('error', () => {});
        response.end('first');
        response.end('second');
      }),
    expected: [200, 5],
  },
  {
    name: 'end(callback) twice',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.end('first', () => {});
        response.end(() => {});
      }),
    expected: [200, 5],
  },
  {
    name: 'write after end',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.on('error', () => {});
        response.end('first');
        response.write('second');
      }),
    expected: [200, 5],
  },
  {
    name: 'an error after the response',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.send('fine');
        throw new Error('too late');
      }),
    expected: [200, 4],
  },
  {
    name: 'headers set after the response',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.send('fine');
        response.setHeader('X-Late', '1');
      }),
    expected: [200, 4],
  },
  {
    name: 'middleware that replaces write, end and writeHead',
    app: (app) => {
      app.use((_request, response, next) => {
        const { write, end, writeHead } = response;
        Object.assign(response, {
          writeHead: (...args: unknown[]) => Reflect.apply(writeHead, response, args),
          write: (chunk: string) => write.call(response, chunk.toUpperCase(), 'utf8'),
          end: (chunk: string) => end.call(response, `${chunk}!`, 'utf8'),
        });
        next();
      });
      app.get('/', (_request, response) => {
        response.write('one');
        response.end('two');
      });
    },
    expected: [200, 7],
  },
  {
    name: 'middleware that replaces writeHead and never calls the original',
    app: (app) =>
      app.get('/', (_request, response) => {
        const internals = response as unknown as { _storeHeader(line: string, headers: object): void };
        response.writeHead = ((status: number) => {
          response.statusCode = status;
          internals._storeHeader(`HTTP/1.1 ${status} Mine\r\n`, { 'Content-Length': '3' });
          return response;
        }) as typeof response.writeHead;
        response.end('own');
      }),
    expected: [200, 3],
  },
];

describe.each(EXPRESSES)('%s', (version, make) => {
  test.each(CASES.filter(({ versions }) => !versions || versions === version))(
    'records the response and does not change it: $name',
    async ({ early, app: late, request, expected }) => {
      const requestApp = async (recorder?: Recorder) => {
        const app = make();
        // In development, error pages show the stack, which includes frames of this library.
        app.set('env', 'production');
        early?.(app, make);
        recorder?.usage.attach(app as unknown as TrackedApp);
        late?.(app, make);
        const { server, address } = await listen(http.createServer(app));
        const client = http1Client(address);
        const { status, headers, body } = await client.request(request);
        client.close();
        await closeServer(server);
        delete headers.date;
        return { status, headers, body: body.toString() };
      };
      const recorder = await Recorder.create();
      const tracked = await requestApp(recorder);
      const { status, contentLength } = await recorder.takeOne();
      expect(recorder.errors).toEqual([]);
      await recorder.close();

      expect(tracked).toEqual(await requestApp());
      const bytes = Buffer.byteLength(tracked.body);
      expect([tracked.status, expected[1] < 0 ? -1 : bytes]).toEqual(expected);
      expect([status, contentLength]).toEqual([tracked.status, bytes]);
    },
  );
});

describe('node:http', () => {
  const invalidCall: [name: string, wrong: (response: http.ServerResponse) => void, code: string][] = [
    [
      'an invalid status code',
      (response) => {
        response.statusCode = 9999;
        response.end('x');
      },
      'ERR_HTTP_INVALID_STATUS_CODE',
    ],
    ['end(number)', (response) => response.end(5), 'ERR_INVALID_ARG_TYPE'],
    ['write(undefined)', (response) => response.write(undefined), 'ERR_INVALID_ARG_TYPE'],
    ['write(null)', (response) => response.write(null), 'ERR_STREAM_NULL_VALUES'],
    [
      'an invalid header name',
      (response) => response.writeHead(200, { 'a b': 'c' }),
      'ERR_INVALID_HTTP_TOKEN',
    ],
    ['an odd flat list', (response) => response.writeHead(200, ['a', 'b', 'c']), 'ERR_INVALID_ARG_VALUE'],
    [
      'writeHead twice',
      (response) => {
        response.writeHead(200);
        response.writeHead(200);
      },
      'ERR_HTTP_HEADERS_SENT',
    ],
  ];

  test.each(invalidCall)(
    '%s throws as without tracking, and the response after it is recorded once',
    async (_, call, code) => {
      const codes: unknown[] = [];
      const recorder = await Recorder.create();
      const app = http.createServer((_request, response) => {
        try {
          call(response);
        } catch (error) {
          codes.push((error as NodeJS.ErrnoException).code);
        }
        if (!response.headersSent) response.statusCode = 500;
        response.end('sorry');
      });
      recorder.usage.attach(app);
      const { server, address } = await listen(app);
      const client = http1Client(address);
      const { status, body } = await client.request();
      client.close();
      await closeServer(server);
      const record = await recorder.takeOne();
      await recorder.close();
      expect([codes, body.toString()]).toEqual([[code], 'sorry']);
      expect([record.status, record.contentLength]).toEqual([status, 5]);
    },
  );
});
