import { Socket } from 'node:net';
import { wrapMethod } from '../platform/wrap-method.ts';
import type { Connection } from './exchange.ts';

/**
 * Maximum output of a connection held during a turn, in bytes. Larger output is appended and written
 * immediately. Smaller than a socket's kernel buffer, so that the write would not have blocked without
 * tracking either.
 */
const MAX_HELD = 16 * 1024;

/**
 * Holds back the sockets' writes until their records are in the journal (mode `group`). The socket's stream
 * is told that the system accepted the bytes, as it would without tracking. So the 'finish' event, the next
 * pipelined request and later calls on the socket or server keep their order. Before a socket ends, the
 * journal and the held bytes are written.
 */
export class Holder {
  readonly #flush: () => void;
  #held: Connection[] = [];

  /** Creates a holder. `flush` must append the waiting records, then call `release`. */
  constructor(flush: () => void) {
    this.#flush = flush;
  }

  /** Holds the connection's output from now on. Returns false if that is not possible. */
  hold(connection: Connection): boolean {
    connection.output ??= HeldOutput.of(connection.socket);
    if (connection.output === undefined) return false;
    if (connection.output.addHolder(this)) this.#held.push(connection);
    return true;
  }

  /** Writes all held output. */
  release(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const connection of held) connection.output!.removeHolder(this);
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

/** Held output of a socket. Two instances that track one server may hold it at the same time. */
export class HeldOutput {
  readonly #socket: Socket;
  readonly #write: () => StreamOfSocket['_write'];
  readonly #writev: () => StreamOfSocket['_writev'];
  readonly #holders: Holder[] = [];
  #chunks: Chunk[] = [];
  #length = 0;
  /** Number of writes of released output that the system has not accepted yet. */
  #writing = 0;

  /**
   * Returns the socket's held output. Returns `undefined` for a connection that is not a Node socket or
   * cannot be changed. Also for TLS, whose stream waits for the end of each write.
   */
  static of(socket: Connection['socket']): HeldOutput | undefined {
    if (!(socket instanceof Socket) || 'encrypted' in socket || !Object.isExtensible(socket))
      return undefined;
    return new HeldOutput(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#write = this.#wrap('_write', (original) => (chunk, encoding, callback) => {
      if (this.#holders.length === 0 || !this.#hasRoom(chunk.length)) {
        original().call(socket, chunk, encoding, callback);
      } else {
        this.#keep(chunk, encoding);
        callback();
      }
    });
    this.#writev = this.#wrap('_writev', (original) => (chunks, callback) => {
      let length = 0;
      for (const { chunk } of chunks) length += chunk.length;
      if (this.#holders.length === 0 || !this.#hasRoom(length)) {
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

  addHolder(holder: Holder): boolean {
    if (this.#holders.includes(holder)) return false;
    this.#holders.push(holder);
    return true;
  }

  removeHolder(holder: Holder): void {
    if (this.#holders.length === 1) this.#holders.pop();
    else this.#holders.splice(this.#holders.indexOf(holder), 1);
    if (this.#holders.length === 0 && this.#chunks.length > 0) this.#release();
  }

  /**
   * Returns whether this many more bytes can be held. If not, the stream waits for the system, as without
   * tracking.
   */
  #hasRoom(length: number): boolean {
    this.#length += length;
    if (this.#length <= MAX_HELD && this.#writing === 0) return true;
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
    for (const holder of [...this.#holders]) holder.flush();
  }

  #bytes(): number {
    let bytes = 0;
    for (const { chunk, encoding } of this.#chunks) bytes += Buffer.byteLength(chunk, encoding);
    return bytes;
  }
}
