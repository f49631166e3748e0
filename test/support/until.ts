/** Polls a condition while real I/O continues: for harnesses, where `expect.poll` cannot be used outside of a test. */
const LIMIT_MS = 5000;
const STEP_MS = 2;

export async function until(condition: () => boolean, what: string, limitMs = LIMIT_MS): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`condition not met within ${limitMs} ms: ${what}`);
    await new Promise<void>((resolve) => {
      setTimeout(resolve, STEP_MS);
    });
  }
}
