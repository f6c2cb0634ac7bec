import { show, TrackUsageError } from '../errors.ts';

/** A writer cannot add to what it wrote before. Throws for a summary among its hooks, and for what is no function. */
export function checkNoSummaries(writer: string, hooks: unknown): void {
  const wrong = Array.isArray(hooks) ? hooks.find((hook) => typeof hook !== 'function') : hooks;
  if (wrong === undefined) return;
  const { title } = (wrong ?? {}) as { title?: string };
  throw new TrackUsageError('WRITER_SUMMARY', { writer, name: title ?? show(wrong) });
}
