import { show, TrackUsageError } from '../errors.ts';

/**
 * Throws for a summary among a writer's hooks, because a writer cannot update what it wrote. Also throws for
 * values that are not functions.
 */
export function checkNoSummaries(writer: string, hooks: unknown): void {
  const wrong = Array.isArray(hooks) ? hooks.find((hook) => typeof hook !== 'function') : hooks;
  if (wrong === undefined) return;
  const { title } = (wrong ?? {}) as { title?: string };
  throw new TrackUsageError('WRITER_SUMMARY', { writer, name: title ?? show(wrong) });
}
