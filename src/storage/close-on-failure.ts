/** Returns the result of `open`. Calls `close` if it fails. */
export async function closeOnFailure<T>(close: () => Promise<void>, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await close();
    throw error;
  }
}
