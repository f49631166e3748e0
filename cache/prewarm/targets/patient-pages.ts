/** The pages of a target, through outages of the origin. */
import type { RunContext } from '#cache/prewarm/run-context.ts';
import type { KeyPage, Target } from './target.ts';

/** Rejects only with errors that another attempt would meet again. */
export async function* patientPages(
  target: Target,
  start: string,
  context: RunContext,
  signal: AbortSignal,
): AsyncGenerator<KeyPage, void, void> {
  let after = start;
  let pages = target.pages(after, signal);
  const next = async (): Promise<IteratorResult<KeyPage, void>> => {
    try {
      return await pages.next();
    } catch (error) {
      // A generator that has thrown is at its end.
      pages = target.pages(after, signal);
      throw error;
    }
  };
  for (;;) {
    const page = await context.patiently(signal, next);
    if (page.done === true) return;
    ({ after } = page.value);
    yield page.value;
  }
}
