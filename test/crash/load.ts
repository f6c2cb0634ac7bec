import http from 'node:http';

/** Outcomes of requests, as their client observed them. */
export interface RequestOutcomes {
  /** Responses received in full, with their body bytes, by path. */
  received: Map<string, { hits: number; bytes: number }>;
  /** Paths whose response was cut off: they may be counted or not. */
  cut: Map<string, number>;
}

export function newOutcomes(): RequestOutcomes {
  return { received: new Map(), cut: new Map() };
}

/**
 * Makes requests on `connections` keep-alive connections, one after the other on each, until the server is gone or
 * `stop` says so. Resolves when no request is under way.
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

/** The body's bytes, or `undefined` where the response did not come whole. */
function get(agent: http.Agent, port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      let bytes = 0;
      const expected = response.headers['content-length'];
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        // Whole for the client, however the connection ends.
        if (expected !== undefined && bytes === Number(expected)) resolve(bytes);
      });
      response.on('end', () => resolve(response.complete ? bytes : undefined));
      response.on('error', () => resolve(undefined));
    });
    // A connection that was handed to a worker at its death is never answered.
    request.setTimeout(5_000, () => request.destroy());
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });
}
