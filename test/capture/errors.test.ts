import http from 'node:http';
import type { Express, NextFunction, Request, Response } from 'express';
import { describe, expect, test } from 'vitest';
import type { App } from '../../src/frameworks/index.ts';
import { type ClientRequest, http1Client } from '../support/client.ts';
import { closeServer, EXPRESSES, listen } from '../support/engines.ts';
import { expectErrors } from '../support/expected-errors.ts';
import { Recorder } from '../support/recorder.ts';

// Express prints what its handlers throw.
expectErrors(
  /broken|short and stout|too late|Invalid (?:status code|character in header)|Failed to decode|null values|"chunk" argument|Cannot set headers/,
);

type Make = () => Express;

interface Case {
  name: string;
  /** Adds what the app does. `early` is called before the app is tracked. */
  early?(app: Express, make: Make): void;
  app?(app: Express, make: Make): void;
  ask?: ClientRequest;
  /** What the client gets, with tracking and without; the bytes depend on Express's error page where -1. */
  gets: [status: number, bytes: number];
  versions?: string;
}

class Teapot extends Error {
  readonly status = 418;
}

const answer = (_request: Request, response: Response) => void response.send('fine');

const CASES: Case[] = [
  {
    name: 'a handler throws',
    app: (app) =>
      app.get('/', () => {
        throw new Error('broken');
      }),
    gets: [500, -1],
  },
  {
    name: 'a handler throws an error with a status',
    app: (app) =>
      app.get('/', () => {
        throw new Teapot('short and stout');
      }),
    gets: [418, -1],
  },
  {
    name: 'next(error)',
    app: (app) => app.get('/', (_request, _response, next) => next(new Error('broken'))),
    gets: [500, -1],
  },
  {
    name: 'an async handler rejects',
    app: (app) =>
      app.get('/', async () => {
        throw new Error('broken');
      }),
    gets: [500, -1],
    versions: 'Express 5',
  },
  {
    name: 'error middleware answers',
    app: (app) => {
      app.get('/', () => {
        throw new Error('broken');
      });
      app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
        response.status(503).send(`sorry: ${error.message}`);
      });
    },
    gets: [503, 13],
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
    gets: [500, -1],
  },
  { name: 'nothing answers: 404', app: (app) => app.get('/other', answer), gets: [404, -1] },
  {
    name: 'a path that cannot be decoded',
    ask: { path: '/a/%ff' },
    app: (app) => app.get('/a/:b', answer),
    gets: [400, -1],
  },
  {
    name: 'middleware from before tracking answers',
    early: (app) => app.use((_request, response) => void response.status(401).send('who?')),
    app: (app) => app.get('/', answer),
    gets: [401, 4],
  },
  { name: 'a route from before tracking', early: (app) => app.get('/', answer), gets: [200, 4] },
  {
    name: "next('router')",
    app: (app, make) => {
      const inner = make();
      inner.get('/', (_request, _response, next) => next('router'));
      inner.get('/', () => {
        throw new Error('never reached');
      });
      app.use(inner);
      app.get('/', answer);
    },
    gets: [200, 4],
    // In Express 4 an app inside an app is left at its own end.
    versions: 'Express 5',
  },
  {
    name: "next('route')",
    app: (app) => {
      app.get('/', (_request, _response, next) => next('route'), answer);
      app.get('/', (_request, response) => void response.send('second'));
    },
    gets: [200, 6],
  },
  {
    name: 'an invalid status code, then the error page',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.statusCode = 9999;
        response.end('x');
      }),
    gets: [500, -1],
  },
  {
    name: 'an invalid status code with writeHead, then the error page',
    app: (app) => app.get('/', (_request, response) => void response.writeHead(20, { 'Content-Length': 3 })),
    gets: [500, -1],
  },
  {
    name: 'an invalid header, then the error page',
    app: (app) => app.get('/', (_request, response) => void response.writeHead(200, { 'X-Bad': 'a\nb' })),
    gets: [500, -1],
  },
  {
    name: 'end(number), then the error page',
    app: (app) => app.get('/', (_request, response) => void response.end(5)),
    gets: [500, -1],
  },
  {
    name: 'write(object), then the error page',
    app: (app) => app.get('/', (_request, response) => void response.write({})),
    gets: [500, -1],
  },
  {
    name: 'write(null), then the error page',
    app: (app) => app.get('/', (_request, response) => void response.write(null)),
    gets: [500, -1],
  },
  {
    name: 'end() twice',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.on('error', () => {});
        response.end('first');
        response.end('second');
      }),
    gets: [200, 5],
  },
  {
    name: 'end(callback) twice',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.end('first', () => {});
        response.end(() => {});
      }),
    gets: [200, 5],
  },
  {
    name: 'write after end',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.on('error', () => {});
        response.end('first');
        response.write('second');
      }),
    gets: [200, 5],
  },
  {
    name: 'an error after the response',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.send('fine');
        throw new Error('too late');
      }),
    gets: [200, 4],
  },
  {
    name: 'headers set after the response',
    app: (app) =>
      app.get('/', (_request, response) => {
        response.send('fine');
        response.setHeader('X-Late', '1');
      }),
    gets: [200, 4],
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
    gets: [200, 7],
  },
  {
    name: 'middleware that replaces writeHead and does without the old one',
    app: (app) =>
      app.get('/', (_request, response) => {
        const own = response as unknown as { _storeHeader(line: string, headers: object): void };
        response.writeHead = ((status: number) => {
          response.statusCode = status;
          own._storeHeader(`HTTP/1.1 ${status} Mine\r\n`, { 'Content-Length': '3' });
          return response;
        }) as typeof response.writeHead;
        response.end('own');
      }),
    gets: [200, 3],
  },
];

describe.each(EXPRESSES)('%s', (version, make) => {
  test.each(CASES.filter(({ versions }) => !versions || versions === version))(
    '$name',
    async ({ early, app: late, ask, gets }) => {
      const asked = async (recorder?: Recorder) => {
        const app = make();
        // The error pages of development show the stack, of which we are a part.
        app.set('env', 'production');
        early?.(app, make);
        recorder?.usage.attach(app as unknown as App);
        late?.(app, make);
        const { server, address } = await listen(http.createServer(app));
        const client = http1Client(address);
        const { status, headers, body } = await client.ask(ask);
        client.close();
        await closeServer(server);
        delete headers.date;
        return { status, headers, body: body.toString() };
      };
      const recorder = await Recorder.create();
      const tracked = await asked(recorder);
      const { status, contentLength } = await recorder.one();
      expect(recorder.errors).toEqual([]);
      await recorder.close();

      expect(tracked).toEqual(await asked());
      const bytes = Buffer.byteLength(tracked.body);
      expect([tracked.status, gets[1] < 0 ? -1 : bytes]).toEqual(gets);
      expect([status, contentLength]).toEqual([tracked.status, bytes]);
    },
  );
});

describe('node:http', () => {
  const wrong: [name: string, wrong: (response: http.ServerResponse) => void, code: string][] = [
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

  test.each(wrong)(
    '%s throws as without tracking, and the page after it is recorded once',
    async (_, wrong, code) => {
      const codes: unknown[] = [];
      const recorder = await Recorder.create();
      const app = http.createServer((_request, response) => {
        try {
          wrong(response);
        } catch (error) {
          codes.push((error as NodeJS.ErrnoException).code);
        }
        if (!response.headersSent) response.statusCode = 500;
        response.end('sorry');
      });
      recorder.usage.attach(app);
      const { server, address } = await listen(app);
      const client = http1Client(address);
      const { status, body } = await client.ask();
      client.close();
      await closeServer(server);
      const record = await recorder.one();
      await recorder.close();
      expect([codes, body.toString()]).toEqual([[code], 'sorry']);
      expect([record.status, record.contentLength]).toEqual([status, 5]);
    },
  );
});
