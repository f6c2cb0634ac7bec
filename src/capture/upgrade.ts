import type { ServerResponse } from 'node:http';
import { setImmediate } from '../platform/clock.ts';
import {
  attachExchange,
  Connection,
  connectionOf,
  Exchange,
  type ExchangeObserver,
  type Request,
  type RequestReader,
  type Response,
} from './exchange.ts';
import { answer, switchedStatus, unwatchSocket, watchSocket } from './socket-watch.ts';

/** Placeholder for the response of a request that switches protocols, until one is assigned to its socket. */
const PENDING = {} as Response;

/**
 * Starts the exchange of a request that switches protocols, by Upgrade or CONNECT. It ends when its response
 * is written to the socket. Some frameworks dispatch such a request through the app's routes, with a response
 * object of their own. This belongs to the same exchange, and adds its framework and response.
 */
export function beginUpgrade(
  capture: ExchangeObserver,
  request: Request,
  response: Response | undefined,
  target: string,
  reader: RequestReader,
): void {
  const connection = Connection.of(request.socket);
  const known = connection.upgrade;
  let first: Exchange;
  if (known !== undefined && known.response !== undefined) {
    first = known;
    join(first, capture, reader);
  } else if (known?.request === request) {
    // The handshake is complete and recorded. The handlers run after it.
    return;
  } else {
    first = new Exchange();
    first.begin(capture, request, PENDING, target, reader, connection);
    connection.upgrade = first;
    connection.add(first);
    watchSocket(connection);
    setImmediate(completeIfHandedOver, first, connection);
  }
  if (response !== undefined && !('stream' in response)) bindUpgrade(response);
}

function join(first: Exchange, capture: ExchangeObserver, reader: RequestReader): void {
  let exchange = first;
  while (exchange.capture !== capture && exchange.next) exchange = exchange.next;
  if (exchange.capture === capture) {
    exchange.reader = reader;
    return;
  }
  exchange.next = new Exchange();
  exchange.next.begin(capture, first.request, first.response!, first.target, reader, first.connection);
}

/**
 * Returns the upgrade's exchange if a response created by hand belongs to it. Without the socket, such a
 * response is never sent.
 */
export function bindUpgrade(response: ServerResponse): Exchange | undefined {
  const { socket } = response;
  const first = socket ? connectionOf(socket)?.upgrade : undefined;
  if (first?.response !== PENDING || first.request !== response.req) return undefined;
  for (let exchange: Exchange | undefined = first; exchange; exchange = exchange.next) {
    exchange.response = response;
  }
  attachExchange(response, first);
  return first;
}

/** Handles a socket that was sent to another process, for which this one gets no event. */
function completeIfHandedOver(first: Exchange, connection: Connection): void {
  const { _handle: handle, destroyed } = connection.socket as { _handle?: unknown; destroyed: boolean };
  if (first.response === undefined || handle !== null || destroyed) return;
  answer(first, switchedStatus(first), 0);
  unwatchSocket(connection);
}
