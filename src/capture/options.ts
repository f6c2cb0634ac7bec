import type { TrackUsageError } from '../errors.ts';
import type { Summary } from '../summaries/define.ts';
import type { ClassifyFunction } from '../summaries/request-class.ts';
import type { UrlKeyFunction } from '../summaries/url-key.ts';
import type { Request } from './exchange.ts';
import type { OptOut } from './opt-out.ts';
import type { RecordCounter, RecordSink } from './record-sink.ts';
import type { FieldChoice } from './stored-fields.ts';
import type { ViewFilter } from './view-filter.ts';
import type { VisitorCookie } from './visitor.ts';

export interface CaptureOptions {
  /** Receives the records. */
  sink: RecordSink;
  /** Counts the records, for metrics. */
  counter: RecordCounter;
  /** Removes secrets and click IDs from a URL or referrer. */
  cleanUrl(url: string): string;
  anonymizeIp: boolean;
  /** Fields that are read. */
  fields: FieldChoice;
  /** Fields that are stored. The writer needs others for the country, bots and visitors. */
  stored: FieldChoice;
  /** Recognizes people who opted out, if there is a signal for that. */
  optOut: OptOut | undefined;
  /** Determines which requests become records. */
  views: ViewFilter;
  cookie: VisitorCookie | undefined;
  /** Returns whether the visitor agreed to a cookie. */
  cookieWhen: ((request: Request) => boolean) | undefined;
  username: ((request: Request) => string | null | undefined) | undefined;
  /** Names stored in every record. */
  names: { site: string; serverName: string };
  /** Summaries whose key is a function of the user's. */
  closures: readonly Summary[];
  /** Returns the key of a request in `sumUrls`, if that is a function of the user's. */
  urlKey: UrlKeyFunction | undefined;
  /** Returns the class of a request, if the user has a function for that. */
  classify: ClassifyFunction | undefined;
  /** Called with each problem of a request. */
  onProblem(problem: TrackUsageError): void;
}
