import type { IncomingMessage } from 'node:http';

const LONGEST = 8_192;

/**
 * The fields of a form. What the framework has read of it already is taken from there.
 * @returns `undefined` for what is no form, or too long.
 */
export async function readForm(
  request: IncomingMessage,
  body?: unknown,
): Promise<URLSearchParams | undefined> {
  if (typeof body === 'object' && body !== null) {
    const { token } = body as { token?: unknown };
    return new URLSearchParams(typeof token === 'string' ? { token } : {});
  }
  let text = '';
  for await (const piece of request) {
    text += String(piece);
    if (text.length > LONGEST) return undefined;
  }
  return new URLSearchParams(text);
}
