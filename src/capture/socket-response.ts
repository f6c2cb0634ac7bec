import { Buffer } from 'node:buffer';

/** Maximum size of a head. For a larger one, only the status is known and the body is not counted. */
const MAX_HEAD_BYTES = 64 * 1024;
const HEAD_END = /\r?\n\r?\n/;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})/;
/** Number of bytes of a head needed to read its status. */
const STATUS_LINE_LENGTH = 'HTTP/1.1 200'.length;
/**
 * Complete response that Node itself sends for a malformed or late request, before it closes the connection.
 */
const NODES_OWN = /^HTTP\/1\.1 4\d\d [^\r\n]*\r\nConnection: close\r\n\r\n$/;

/**
 * Parses a response written directly to the socket instead of through a ServerResponse. This includes
 * WebSocket handshakes, responses to CONNECT, the app's own responses, and Node's responses to malformed or
 * late requests.
 */
export class SocketResponse {
  /** Status of the final response; 0 until it is known. */
  status = 0;
  /** Body bytes so far. A chunked body is counted as written, with its framing. */
  bytes = 0;
  /** True when everything has been written; a body without a length lasts until the connection ends. */
  isComplete = false;
  /** True if it is the response that Node itself sends for a malformed or late request. */
  isNodesOwn = false;
  /** True if the bytes can be a response. */
  isHttp = true;
  readonly #method: string;
  #head = '';
  #inBody = false;
  #length: number | undefined;

  constructor(method: string | undefined) {
    this.#method = method ?? '';
  }

  /** True if the connection now uses another protocol. */
  get isSwitched(): boolean {
    return this.status === 101 || (this.#method === 'CONNECT' && this.status >= 200 && this.status < 300);
  }

  /** Parses bytes that are about to be written. Ignores chunks that the socket rejects. */
  read(chunk: unknown, encoding: unknown): void {
    const bytes = bytesOf(chunk, encoding);
    if (bytes === undefined || !this.isHttp) return;
    if (this.#inBody) this.bytes += bytes.length;
    else this.#readHead(bytes.toString('latin1'));
    if (this.isSwitched) {
      // Further bytes belong to the new protocol.
      this.isComplete = true;
      this.bytes = 0;
    } else if (this.#inBody && this.#length !== undefined && this.bytes >= this.#length)
      this.isComplete = true;
  }

  #readHead(text: string): void {
    this.#head += text;
    for (;;) {
      const status = Number(STATUS_LINE.exec(this.#head)?.[1] ?? 0);
      if (status === 0) {
        const isPrefix =
          this.#head.length < STATUS_LINE_LENGTH && 'HTTP/1.'.startsWith(this.#head.slice(0, 7));
        this.isHttp = isPrefix;
        return;
      }
      const isInterim = status < 200 && status !== 101;
      if (!isInterim) this.status = status;
      const end = HEAD_END.exec(this.#head);
      if (end === null) {
        if (this.#head.length > MAX_HEAD_BYTES) this.#inBody = true;
        return;
      }
      const bodyStart = end.index + end[0].length;
      if (!isInterim) {
        this.#readBody(this.#head.slice(0, bodyStart), this.#head.length - bodyStart);
        return;
      }
      this.#head = this.#head.slice(bodyStart);
      if (this.#head === '') return;
    }
  }

  #readBody(head: string, bytes: number): void {
    this.#inBody = true;
    this.bytes = bytes;
    this.#head = '';
    const isBodyless = this.status === 204 || this.status === 304 || this.#method === 'HEAD';
    const length = /\ncontent-length:[ \t]*(\d+)[ \t]*\r?\n/i.exec(head)?.[1];
    if (isBodyless) {
      this.#length = 0;
      this.bytes = 0;
    } else if (length !== undefined && !/\ntransfer-encoding:/i.test(head)) this.#length = Number(length);
    else if (bytes === 0 && NODES_OWN.test(head)) {
      this.isNodesOwn = true;
      this.isComplete = true;
    }
  }
}

/** Returns the bytes that a socket sends for a chunk; `undefined` for a chunk that it rejects. */
function bytesOf(chunk: unknown, encoding: unknown): Buffer | undefined {
  if (typeof chunk === 'string') {
    const given = typeof encoding === 'string' ? encoding : 'utf8';
    return Buffer.isEncoding(given) ? Buffer.from(chunk, given) : undefined;
  }
  if (!(chunk instanceof Uint8Array)) return undefined;
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
