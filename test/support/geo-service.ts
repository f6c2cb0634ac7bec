import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** Sends the response of the service for an address. */
export type GeoResponder = (
  response: http.ServerResponse,
  address: string,
  request: http.IncomingMessage,
) => unknown;

export const json =
  (value: unknown): GeoResponder =>
  (response) =>
    response.end(JSON.stringify(value));

/** Never responds. */
export const hang: GeoResponder = () => {};

/** A geolocation service for tests that records its requests. Closed after the test. */
export async function geoService(respond: GeoResponder = json({ country_code: 'DE' })) {
  const service = {
    respond,
    /** Requested addresses, in order. */
    requested: [] as string[],
    urls: [] as string[],
    connections: 0,
    origin: '',
    endpoint: '',
    server: http.createServer(),
    /** Resolves when that many addresses have been requested. */
    async waitForRequests(count: number): Promise<void> {
      while (service.requested.length < count) await once(service.server, 'request');
    },
  };
  service.server.on('connection', () => {
    service.connections += 1;
  });
  service.server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    const address = decodeURIComponent(request.url!.slice(request.url!.lastIndexOf('/') + 1));
    service.requested.push(address);
    service.urls.push(request.url!);
    service.respond(response, address, request);
  });
  service.server.listen(0, '127.0.0.1');
  await once(service.server, 'listening');
  onTestFinished(() => {
    service.server.closeAllConnections();
    service.server.close();
  });
  service.origin = `http://127.0.0.1:${(service.server.address() as AddressInfo).port}`;
  service.endpoint = `${service.origin}/json/{ip}`;
  return service;
}
