import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Capture } from '../capture/capture.ts';
import type { RequestReader } from '../capture/exchange.ts';
import { normalizedPathOf } from '../capture/target.ts';
import { onUnseen } from '../capture/unseen.ts';
import { TrackUsageError } from '../errors.ts';
import { wrapMethod } from '../platform/wrap-method.ts';

/** Common interface of servers from node:http, https and http2. */
export interface NodeServer {
  emit(type: string, ...args: unknown[]): boolean;
}

export type Trust = (address: string, hop: number) => boolean;

/** The framework's own setting for trusted proxies, which makes the option `trustProxy` ineffective. */
const OWN_TRUST = {
  Express: "app.set('trust proxy', …)",
  Fastify: 'Fastify({ trustProxy: … })',
  Koa: 'app.proxy = true',
};

/** Throws if `trustProxy` was given for a framework that has its own setting. */
export function refuseTrust(framework: keyof typeof OWN_TRUST, trust: Trust | undefined): void {
  if (trust) throw new TrackUsageError('TRUST_PROXY_UNUSED', { framework, setting: OWN_TRUST[framework] });
}

/** Returns true if the option `trustProxy` trusts a proxy; by default, none is trusted. */
export function trustBy(trust: Trust | undefined): RequestReader['trusts'] {
  return trust ? (_request, address, hop) => trust(address, hop) : () => false;
}

export function isNodeServer(app: unknown): app is NodeServer {
  const server = app as Partial<Server> | null;
  return (
    typeof server === 'object' &&
    server !== null &&
    typeof server.emit === 'function' &&
    typeof server.listen === 'function' &&
    typeof server.setTimeout === 'function'
  );
}

/**
 * Returns the reader of a plain server, which has no routes. The option `trustProxy` determines the trusted
 * proxies.
 */
export function nodeReader(trust: Trust | undefined): RequestReader {
  return {
    trusts: trustBy(trust),
    path: (_request, target) => normalizedPathOf(target),
    route: () => '',
    blueprint: () => '',
    handlers: () => [],
    routeParams: () => undefined,
  };
}

/**
 * Tracks a server through its `emit`. Additional listeners would change its behavior, because Node checks for
 * listeners before it upgrades a connection or handles `Expect`.
 */
export function trackServer(server: NodeServer, capture: Capture, reader: RequestReader): void {
  onUnseen(server, (request, response) => begin(capture, reader, request, response));
  wrapMethod<NodeServer['emit']>(server, 'emit', (original) => {
    return function (this: NodeServer, type: string, ...args: unknown[]): boolean {
      switch (type) {
        case 'request':
        case 'checkContinue':
        case 'checkExpectation':
          begin(capture, reader, args[0], args[1]);
          break;
        case 'upgrade':
        case 'connect':
          beginSwitch(capture, reader, args[0], args[1]);
          break;
      }
      return original().call(this, type, ...args);
    };
  });
}

/** Tracks only upgrades, on a server whose requests are tracked elsewhere. */
export function trackUpgrades(server: NodeServer, capture: Capture, reader: RequestReader): void {
  wrapMethod<NodeServer['emit']>(server, 'emit', (original) => {
    return function (this: NodeServer, type: string, ...args: unknown[]): boolean {
      if (type === 'upgrade' || type === 'connect') beginSwitch(capture, reader, args[0], args[1]);
      return original().call(this, type, ...args);
    };
  });
}

/** Handles an event. An app may emit any arguments, with modified requests. */
function begin(capture: Capture, reader: RequestReader, request: unknown, response: unknown): void {
  try {
    const { url = '' } = request as IncomingMessage;
    capture.begin(request as IncomingMessage, response as ServerResponse, url, reader);
  } catch (error) {
    capture.unread(request, error);
  }
}

function beginSwitch(capture: Capture, reader: RequestReader, request: unknown, answer: unknown): void {
  try {
    const { url = '' } = request as IncomingMessage;
    // An HTTP/2 CONNECT has a response, which Node sends if there is no listener.
    if ('writeHead' in (answer as Duplex | ServerResponse)) begin(capture, reader, request, answer);
    else capture.upgrade(request as IncomingMessage, url, reader);
  } catch (error) {
    capture.unread(request, error);
  }
}
