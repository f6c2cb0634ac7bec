/** Returns the result of `open`. Calls `close` if it fails. */
export async function closeOnFailure<T>(
  close: () => void | Promise<void>,
  open: () => T | Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await close();
    throw error;
  }
}
