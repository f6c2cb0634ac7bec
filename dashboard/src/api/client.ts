import { quantity } from '../format/numbers.ts';

/** Error response of the API (RFC 9457), or a failure to reach it. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | null;

  constructor(message: string, status = 0, code: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
  }

  get needsToken(): boolean {
    return this.code === 'AUTH_REQUIRED';
  }

  /** True if the server or the storage is not available, so that the same query may succeed later. */
  get isTemporary(): boolean {
    return [0, 502, 504].includes(this.status) || (this.status === 503 && this.code !== 'QUERY_SLOW');
  }
}

export const UNREACHABLE = 'The server cannot be reached.';

/** Queries the API. `path` is the part after `api/v1/`. */
export async function fetchJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`api/v1/${path}`, {
      headers: { accept: 'application/json' },
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(UNREACHABLE);
  }
  if (!response.ok) throw await problemOf(response);
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('The response of the server is incomplete or invalid.', response.status);
  }
}

/** Signs in. Throws an `ApiError` with a message for the user. */
export async function signIn(token: string): Promise<void> {
  let response: Response;
  try {
    response = await fetch('login', {
      method: 'POST',
      body: new URLSearchParams({ token }),
      redirect: 'manual',
    });
  } catch {
    throw new ApiError(UNREACHABLE);
  }
  if (response.type === 'opaqueredirect' || response.ok) return;
  if (response.status === 401) throw new ApiError('Wrong token.', 401);
  if (response.status !== 429) throw await problemOf(response);
  const seconds = Number(response.headers.get('retry-after'));
  const pause = seconds > 0 ? quantity(seconds, 'second') : 'a while';
  throw new ApiError(`Too many attempts. Try again in ${pause}.`, 429);
}

/** Returns the error of a response that is no success. */
export async function problemOf(response: Response): Promise<ApiError> {
  return errorOf(response.status, await response.json().catch(() => null));
}

/** Returns the error of a status. @param body Problem details, if the server is ours. */
export function errorOf(status: number, body: unknown): ApiError {
  const { detail, title, code } = (body ?? {}) as Record<string, unknown>;
  const text = [detail, title].find((each) => typeof each === 'string' && each !== '');
  return new ApiError(
    typeof text === 'string' ? text : `The server responded with status ${status}.`,
    status,
    typeof code === 'string' ? code : null,
  );
}
