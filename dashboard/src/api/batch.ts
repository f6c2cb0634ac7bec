import { ApiError, errorOf, fetchJson, problemOf, UNREACHABLE } from './client.ts';

/** Parameters that the queries of a batch share. */
const COMMON = ['site', 'range', 'from', 'to', 'bots', 'filter'];
/** Maximum number of queries in a batch, as in the API. */
const MAX_QUERIES = 20;

interface Waiting {
  path: string;
  signal: AbortSignal;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Line of a batch's response. */
interface Line {
  index: number;
  status: number;
  body: unknown;
}

let waiting: Waiting[] = [];

/** Queries the API. Queries of the same moment are sent as one request. @param path Part after `api/v1/`. */
export function load<T>(path: string, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) queueMicrotask(send);
    waiting.push({ path, signal, resolve: resolve as (result: unknown) => void, reject });
  });
}

function send(): void {
  const groups = new Map<string, Waiting[]>();
  for (const query of waiting) {
    const { common } = partsOf(query.path);
    groups.set(common, [...(groups.get(common) ?? []), query]);
  }
  waiting = [];
  for (const [common, queries] of groups) {
    for (let from = 0; from < queries.length; from += MAX_QUERIES) {
      void sendGroup(common, queries.slice(from, from + MAX_QUERIES));
    }
  }
}

async function sendGroup(common: string, queries: readonly Waiting[]): Promise<void> {
  const [only] = queries;
  if (queries.length === 1 && only) {
    await fetchJson(only.path, only.signal).then(only.resolve, only.reject);
    return;
  }
  const controller = new AbortController();
  let wanted = queries.length;
  for (const { signal } of queries) {
    signal.addEventListener('abort', () => --wanted === 0 && controller.abort(), { once: true });
  }
  try {
    await readLines(batchPath(common, queries), controller.signal, ({ index, status, body }) => {
      const query = queries[index];
      if (status === 200) query?.resolve(body);
      else query?.reject(errorOf(status, body));
    });
  } catch (error) {
    for (const { reject } of queries) reject(error);
  }
}

/** Returns the path of a batch: the common parameters, and each query with the remaining ones. */
export function batchPath(common: string, queries: readonly { path: string }[]): string {
  const parameters = new URLSearchParams(common);
  for (const { path } of queries) {
    const { resource, own } = partsOf(path);
    parameters.append('query', own === '' ? resource : `${resource}?${own}`);
  }
  return `batch?${parameters}`;
}

function partsOf(path: string): { resource: string; common: string; own: string } {
  const [resource = '', search = ''] = path.split('?');
  const common = new URLSearchParams();
  const own = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(search)) {
    (COMMON.includes(name) ? common : own).append(name, value);
  }
  return { resource, common: String(common), own: String(own) };
}

/** Calls a function with each line of a response as it arrives. Throws if the response ends early. */
async function readLines(path: string, signal: AbortSignal, onLine: (line: Line) => void): Promise<void> {
  let rest = '';
  try {
    const response = await fetch(`api/v1/${path}`, { signal });
    if (!response.ok) throw await problemOf(response);
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      rest += decoder.decode(piece.value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) onLine(JSON.parse(line) as Line);
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError(UNREACHABLE);
  }
  // Queries that have a line are settled, so this concerns only the others.
  throw new ApiError(UNREACHABLE);
}
