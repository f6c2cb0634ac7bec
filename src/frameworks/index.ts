import type { Capture } from '../capture/capture.ts';
import { show, TrackUsageError } from '../errors.ts';
import { type ExpressApp, isExpressApp, trackExpress } from './express.ts';
import { isNodeServer, type NodeServer, nodeReader, type Trust, trackServer } from './node.ts';

/** What can be tracked. */
export type App = ExpressApp | NodeServer;

/** Recognises an app by its shape and has its requests captured. `trust` is for apps that know no proxies. */
export function track(app: unknown, capture: Capture, trust: Trust): void {
  if (isExpressApp(app)) trackExpress(app, capture);
  else if (isNodeServer(app)) trackServer(app, capture, nodeReader(trust));
  else throw new TrackUsageError('APP_UNKNOWN', { value: show(app) });
}
