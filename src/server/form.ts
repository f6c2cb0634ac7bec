import type { IncomingMessage } from 'node:http';
import { clearTimeout, setTimeout } from '../platform/clock.ts';
import { Refusal } from './problem.ts';

const MAX_FORM_LENGTH = 8_192;

/**
 * Returns the fields of a form. Uses the body if the framework has already parsed it.
 * @param timeout Maximum time that the client may take to send it. In ms.
 */
export async function readForm(
  request: IncomingMessage,
  body: unknown,
  timeout: number,
): Promise<URLSearchParams> {
  if (typeof body === 'string' || Buffer.isBuffer(body)) return new URLSearchParams(String(body));
  if (typeof body === 'object' && body !== null) {
    const { token } = body as { token?: unknown };
    return new URLSearchParams(typeof token === 'string' ? { token } : {});
  }
  return new URLSearchParams(await readText(request, timeout));
}

/**
 * Reads the body. A request that is too long or too slow is not destroyed, because it still needs a response.
 */
function readText(request: IncomingMessage, timeout: number): Promise<string> {
  if (request.readableEnded || request.destroyed) return Promise.resolve('');
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const settle = (error?: Error) => {
      clearTimeout(limit);
      request.off('data', take);
      // An aborted request must not cause an unhandled error.
      request.on('error', () => {});
      if (error) reject(error);
      else resolve(Buffer.concat(pieces).toString());
    };
    const take = (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_FORM_LENGTH) settle(refusal(413, 'The form is too long', 'FORM_LONG'));
    };
    const limit = setTimeout(
      () => settle(refusal(408, 'The form did not arrive in time', 'FORM_SLOW')),
      timeout,
    );
    limit.unref();
    request
      .on('data', take)
      .on('end', () => settle())
      .on('close', () => settle())
      .on('error', () => settle());
  });
}

function refusal(status: number, title: string, code: string): Refusal {
  const detail = 'Send a form with a token.';
  return new Refusal({ status, title, detail, code, ends: true });
}
