/** Runs all tasks, at most `limit` concurrently, and waits for each. Then throws the first error, if any. */
export async function runConcurrently(tasks: readonly (() => Promise<void>)[], limit: number): Promise<void> {
  const failures: unknown[] = [];
  const waiting = tasks.values();
  const work = async () => {
    for (const task of waiting) {
      if (failures.length > 0) return;
      await task().catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: limit }, work));
  if (failures.length > 0) throw failures[0];
}
