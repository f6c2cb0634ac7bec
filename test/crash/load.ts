import http from 'node:http';

/** Outcomes of requests, as their client observed them. */
export interface RequestOutcomes {
  /** Responses received in full, with their body bytes, by path. */
  received: Map<string, { hits: number; bytes: number }>;
  /** Paths whose response was cut off, which may be counted or not. */
  cut: Map<string, number>;
}

export function newOutcomes(): RequestOutcomes {
  return { received: new Map(), cut: new Map() };
}

/**
 * Sends requests on `connections` keep-alive connections, one after the other on each, until the server ends or
 * `stop` returns true. Resolves when no request is in progress.
 */
export async function load(
  port: number,
  connections: number,
  outcomes: RequestOutcomes,
  nextPath: () => string | undefined,
): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const client = async () => {
    for (let path = nextPath(); path !== undefined; path = nextPath()) {
      const bytes = await get(agent, port, path);
      if (bytes === undefined) {
        outcomes.cut.set(path, (outcomes.cut.get(path) ?? 0) + 1);
        return;
      }
      const entry = outcomes.received.get(path) ?? { hits: 0, bytes: 0 };
      entry.hits += 1;
      entry.bytes += bytes;
      outcomes.received.set(path, entry);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  agent.destroy();
}

/** Returns the bytes of the body, or `undefined` if the response is incomplete. */
function get(agent: http.Agent, port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      let bytes = 0;
      const expected = response.headers['content-length'];
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        // Complete for the client, however the connection ends.
        if (expected !== undefined && bytes === Number(expected)) resolve(bytes);
      });
      response.on('end', () => resolve(response.complete ? bytes : undefined));
      response.on('error', () => resolve(undefined));
    });
    // A connection that was passed to a dying worker gets no response.
    request.setTimeout(5_000, () => request.destroy());
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });
}
