import { Socket } from 'node:net';
import { wrapMethod } from '../platform/wrap-method.ts';
import type { Connection } from './exchange.ts';

/**
 * Maximum output of a connection deferred during a turn, in bytes. Larger output is appended and written
 * immediately. Smaller than a socket's kernel buffer, so that the write would not have blocked without
 * tracking either.
 */
const MAX_DEFERRED_LENGTH = 16 * 1024;

/**
 * Defers socket writes until their records are in the journal (mode `group`). The socket's stream considers
 * the bytes accepted by the system, as it would without tracking. So the 'finish' event, the next
 * pipelined request and later calls on the socket or server keep their order. Before a socket ends, the
 * journal and the deferred bytes are written.
 */
export class OutputDeferral {
  readonly #flush: () => void;
  #connections: Connection[] = [];

  /** Creates the deferral. `flush` must append the waiting records, then call `release`. */
  constructor(flush: () => void) {
    this.#flush = flush;
  }

  /** Defers the connection's output from now on. Returns false if that is not possible. */
  defer(connection: Connection): boolean {
    connection.output ??= DeferredOutput.of(connection.socket);
    if (connection.output === undefined) return false;
    if (connection.output.addDeferral(this)) this.#connections.push(connection);
    return true;
  }

  /** Writes all deferred output. */
  release(): void {
    if (this.#connections.length === 0) return;
    const connections = this.#connections;
    this.#connections = [];
    for (const connection of connections) connection.output!.removeDeferral(this);
  }

  flush(): void {
    this.#flush();
  }
}

type Callback = (error?: Error | null) => void;

interface Chunk {
  chunk: Uint8Array | string;
  encoding: BufferEncoding;
}

/** Internals of a socket that its stream uses. */
interface StreamOfSocket {
  _write(chunk: Chunk['chunk'], encoding: BufferEncoding, callback: Callback): void;
  _writev(chunks: Chunk[], callback: Callback): void;
  _final(callback: Callback): void;
  _destroy(error: Error | null, callback: Callback): void;
}

/** Deferred output of a socket. Two instances that track one server may defer it at the same time. */
export class DeferredOutput {
  readonly #socket: Socket;
  readonly #write: () => StreamOfSocket['_write'];
  readonly #writev: () => StreamOfSocket['_writev'];
  readonly #deferrals: OutputDeferral[] = [];
  #chunks: Chunk[] = [];
  #length = 0;
  /** Number of writes of released output that the system has not accepted yet. */
  #writing = 0;

  /**
   * Returns the socket's deferred output. Returns `undefined` for a connection that is not a Node socket or
   * cannot be changed. Also for TLS, whose stream waits for the end of each write.
   */
  static of(socket: Connection['socket']): DeferredOutput | undefined {
    if (!(socket instanceof Socket) || 'encrypted' in socket || !Object.isExtensible(socket))
      return undefined;
    return new DeferredOutput(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#write = this.#wrap('_write', (original) => (chunk, encoding, callback) => {
      if (this.#deferrals.length === 0 || !this.#hasRoom(chunk.length)) {
        original().call(socket, chunk, encoding, callback);
      } else {
        this.#keep(chunk, encoding);
        callback();
      }
    });
    this.#writev = this.#wrap('_writev', (original) => (chunks, callback) => {
      let length = 0;
      for (const { chunk } of chunks) length += chunk.length;
      if (this.#deferrals.length === 0 || !this.#hasRoom(length)) {
        original().call(socket, chunks, callback);
      } else {
        for (const { chunk, encoding } of chunks) this.#keep(chunk, encoding);
        callback();
      }
    });
    this.#wrap('_final', (original) => (callback) => {
      this.#flush();
      original().call(socket, callback);
    });
    this.#wrap('_destroy', (original) => (error, callback) => {
      this.#flush();
      original().call(socket, error, callback);
    });
    Object.defineProperty(socket, 'bytesWritten', {
      configurable: true,
      get: () => Reflect.get(Object.getPrototypeOf(socket), 'bytesWritten', socket) + this.#bytes(),
    });
  }

  /** Returns a function that looks up the replaced method. */
  #wrap<K extends keyof StreamOfSocket>(
    name: K,
    make: (original: () => StreamOfSocket[K]) => StreamOfSocket[K],
  ): () => StreamOfSocket[K] {
    let replaced!: () => StreamOfSocket[K];
    wrapMethod<StreamOfSocket[K]>(this.#socket, name, (original) => {
      replaced = original;
      return make(original);
    });
    return replaced;
  }

  addDeferral(deferral: OutputDeferral): boolean {
    if (this.#deferrals.includes(deferral)) return false;
    this.#deferrals.push(deferral);
    return true;
  }

  removeDeferral(deferral: OutputDeferral): void {
    if (this.#deferrals.length === 1) this.#deferrals.pop();
    else this.#deferrals.splice(this.#deferrals.indexOf(deferral), 1);
    if (this.#deferrals.length === 0 && this.#chunks.length > 0) this.#release();
  }

  /**
   * Returns whether this many more bytes can be deferred. If not, the stream waits for the system, as without
   * tracking.
   */
  #hasRoom(length: number): boolean {
    this.#length += length;
    if (this.#length <= MAX_DEFERRED_LENGTH && this.#writing === 0) return true;
    this.#flush();
    this.#length = 0;
    return false;
  }

  #keep(chunk: Chunk['chunk'], encoding: BufferEncoding): void {
    // After a write has completed, the app may reuse its buffer.
    this.#chunks.push({ chunk: typeof chunk === 'string' ? chunk : Buffer.from(chunk), encoding });
  }

  #release(): void {
    const chunks = this.#chunks;
    this.#length = 0;
    this.#writing += 1;
    if (chunks.length === 1) {
      const { chunk, encoding } = chunks.pop()!;
      this.#write().call(this.#socket, chunk, encoding, this.#isWritten);
    } else {
      this.#chunks = [];
      this.#writev().call(this.#socket, chunks, this.#isWritten);
    }
  }

  readonly #isWritten: Callback = (error) => {
    this.#writing -= 1;
    if (error) this.#socket.destroy(error);
  };

  #flush(): void {
    for (const deferral of [...this.#deferrals]) deferral.flush();
  }

  #bytes(): number {
    let bytes = 0;
    for (const { chunk, encoding } of this.#chunks) bytes += Buffer.byteLength(chunk, encoding);
    return bytes;
  }
}
