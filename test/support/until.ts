/** Waits, with real I/O going on, until something is so: for harnesses, where `expect.poll` has no test around it. */
const LIMIT_MS = 5000;
const STEP_MS = 2;

export async function until(condition: () => boolean, what: string, limitMs = LIMIT_MS): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not so within ${limitMs} ms: ${what}`);
    await new Promise<void>((resolve) => {
      setTimeout(resolve, STEP_MS);
    });
  }
}
