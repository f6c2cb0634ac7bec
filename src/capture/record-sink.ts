/** Data captured from a request, from which its record is made. Unknown text is `''`. */
export interface CapturedFields {
  date: number;
  contentLength: number;
  /** Number of body bytes of the request, or -1 if it is unknown. */
  received: number;
  /** Code of the response's class: see `request-class.ts`. 0 in a journal of an older release. */
  class: number;
  /** Duration in µs. */
  duration: number;
  status: number;
  credentials: boolean;
  method: string;
  url: string;
  route: string;
  protocol: string;
  remoteAddr: string;
  forwardedFor: string;
  agent: string;
  acceptLanguage: string;
  referrer: string;
  username: string;
  visitor: string;
  blueprint: string;
  /** JSON of `Extra`, or `''`. */
  extra: string;
}

/**
 * Destination of captured records: in an app, the journal. No method throws, because a failure here must not
 * fail a request.
 */
export interface RecordSink {
  /** True if records wait for the end of the event-loop turn, so that their responses must be deferred. */
  readonly defersResponses: boolean;
  /** Number of requests without a record: capturing them failed, or the app sent the response after `close()`. */
  uncaptured: number;
  /** Called when the records deferred until the end of the turn have been appended. */
  afterTurn: () => void;
  /**
   * Accepts a record. Unless `defersResponses` is true, the record is safe from SIGKILL when this returns.
   * @param fields Overwritten by the next request.
   * @param now Timestamp of the monotonic clock, in ms.
   */
  append(fields: CapturedFields, now: number): void;
  /** Appends the records deferred until the end of the turn. */
  appendPending(): void;
}

/** Counts the records that the sink accepted, for metrics. Never throws. */
export interface RecordCounter {
  add(fields: CapturedFields): void;
}
