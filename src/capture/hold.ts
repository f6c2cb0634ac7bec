import { Socket } from 'node:net';
import { wrapMethod } from '../platform/wrap-method.ts';
import type { Connection } from './exchange.ts';

/**
 * Maximum output of a connection that is held in a turn, in bytes; longer output is appended and written immediately.
 * Smaller than a socket's kernel buffer, so that the write would not have waited without us either.
 */
const MAX_HELD = 16 * 1024;

/**
 * Holds back what sockets write until their records are in the journal (mode `group`). The socket's stream is told
 * that the system took the bytes, as it would have without us, so that 'finish', the next pipelined request, and what
 * the app does with the server or the socket meanwhile come in the same order. What ends a socket is preceded by the
 * journal and the bytes.
 */
export class Holder {
  readonly #flush: () => void;
  #held: Connection[] = [];

  /** `flush` appends the records that wait, and then calls `release`. */
  constructor(flush: () => void) {
    this.#flush = flush;
  }

  /** Holds the output of the connection from now on; returns false if that is not possible. */
  hold(connection: Connection): boolean {
    connection.output ??= HeldOutput.of(connection.socket);
    if (connection.output === undefined) return false;
    if (connection.output.addHolder(this)) this.#held.push(connection);
    return true;
  }

  /** Lets everything go that is held. */
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

/** A socket as its own stream sees it. */
interface StreamOfSocket {
  _write(chunk: Chunk['chunk'], encoding: BufferEncoding, callback: Callback): void;
  _writev(chunks: Chunk[], callback: Callback): void;
  _final(callback: Callback): void;
  _destroy(error: Error | null, callback: Callback): void;
}

/** Held output of a socket. Two apps that track one server may hold it at the same time. */
export class HeldOutput {
  readonly #socket: Socket;
  readonly #write: () => StreamOfSocket['_write'];
  readonly #writev: () => StreamOfSocket['_writev'];
  readonly #holders: Holder[] = [];
  #chunks: Chunk[] = [];
  #length = 0;
  /** Writes of released output that the system has not taken yet. */
  #writing = 0;

  /**
   * `undefined` for a connection that is no socket of Node, one that cannot be changed, and one with TLS, whose stream
   * waits for the end of each write.
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

  /** Returns true if this many more bytes can be held. If not, the stream waits for the system, as without us. */
  #hasRoom(length: number): boolean {
    this.#length += length;
    if (this.#length <= MAX_HELD && this.#writing === 0) return true;
    this.#flush();
    this.#length = 0;
    return false;
  }

  #keep(chunk: Chunk['chunk'], encoding: BufferEncoding): void {
    // Whose write is done may use the bytes for something else.
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
