const callbacks = new Set<() => void>();

function callAll(): void {
  for (const callback of callbacks) callback();
}

/**
 * Calls a function synchronously when the process exits. All callbacks share one listener, so that many
 * instances do not cause a MaxListenersExceededWarning.
 * @returns Function that removes the callback.
 */
export function onProcessExit(callback: () => void): () => void {
  if (callbacks.size === 0) process.on('exit', callAll);
  callbacks.add(callback);
  return () => {
    if (callbacks.delete(callback) && callbacks.size === 0) process.off('exit', callAll);
  };
}
