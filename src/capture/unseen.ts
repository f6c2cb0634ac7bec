import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import {
  type Exchange,
  exchangeOf,
  exchangeOfStream,
  isAnswered,
  type Request,
  type Response,
} from './exchange.ts';
import { isMadeByNode } from './refusals.ts';
import { bindUpgrade } from './upgrade.ts';

/*
 * Tracks responses that Node sends through a ServerResponse without emitting a request: 400 for HTTP/1.1
 * without Host, 417 for an unknown Expect, 503 beyond `maxRequestsPerSocket`. Their exchange starts when
 * their headers are written.
 */

type Begin = (request: Request, response: Response) => void;
const BEGIN = Symbol('track-usage begin');
type Server = { [BEGIN]?: Begin };

/** Calls `begin` for a server's responses that no listener received. */
export function onUnseen(server: object, begin: Begin): void {
  const { [BEGIN]: before } = server as Server;
  (server as Server)[BEGIN] = (request, response) => {
    before?.(request, response);
    begin(request, response);
  };
}

/** Starts or finds the exchange of an unannounced response whose headers are about to be written. */
export function beginUnseen(response: ServerResponse): Exchange | undefined {
  const request: IncomingMessage | undefined = response.req;
  const socket = request?.socket as (IncomingMessage['socket'] & { server?: Server }) | undefined;
  if ((request as { upgrade?: unknown } | undefined)?.upgrade === true) return bindUpgrade(response);
  const begin = socket?.server?.[BEGIN];
  if (begin === undefined || response.headersSent || socket!.destroyed) return undefined;
  if (!isMadeByNode(response) || isAnswered(response)) return undefined;
  begin(request, response);
  return exchangeOf(response);
}

/** Like `beginUnseen`, for HTTP/2. */
export function beginUnseenHttp2(response: Http2ServerResponse): Exchange | undefined {
  const { stream } = response;
  const { req: request } = response as Http2ServerResponse & { req?: Http2ServerRequest | null };
  // A pushed response has no request, and is part of another one.
  if (!request || stream.headersSent || stream.destroyed) return undefined;
  const begin = (stream.session as { server?: Server } | undefined)?.server?.[BEGIN];
  if (begin === undefined) return undefined;
  begin(request, response);
  return exchangeOfStream(stream);
}
