/** `kubectl orca pin`: keeps objects from being evicted. */
import type { Command } from '#cache/cli/frame/command.ts';
import { CACHE_FLAG, OUTPUT_FLAG } from '#cache/cli/frame/global-flags.ts';
import { BY_PIN, durationOf, FOREVER, TARGET_FLAGS } from '#cache/cli/prewarm/manifest.ts';
import { createPrewarm, WAIT_FLAGS } from './prewarm.ts';

/** After the pin has expired, or was refused: long enough to look at it. One without an end is never removed. */
const KEEP_MS = 24 * 60 * 60_000;

export const pin: Command = {
  name: 'pin',
  summary: 'Keep objects in the cachestore',
  description: `Keep everything below a prefix in the cachestore: its chunks are not evicted while the pin exists. What is not stored yet
is fetched.

 It creates an OrcaPrewarm with spec.pin, labeled as one that unpin may delete. A pin holds the versions that its run has
found: if an object is overwritten, pin it again, or use an OrcaPrewarm with a schedule. All pins together may hold
cacheStore.maxPinned of the capacity; a pin that would exceed it is refused, and what was fetched stays unpinned.

 It needs create and get of orcaprewarms and list of orcacaches in the namespace of the cache.`,
  args: 's3://BUCKET[/PREFIX]',
  maxArgs: 1,
  examples: [
    { title: 'Until it is unpinned', command: 'kubectl orca pin s3://models/llama-3-70b/' },
    {
      title: 'For a week, and wait until everything is stored',
      command: 'kubectl orca pin s3://models/llama-3-70b/ --ttl 7d --wait',
    },
  ],
  flags: [
    OUTPUT_FLAG,
    {
      name: 'ttl',
      description: 'How long the pin lasts after everything is stored, such as 7d. Default: until it is unpinned.',
    },
    ...WAIT_FLAGS,
    ...TARGET_FLAGS,
    CACHE_FLAG,
  ],
  run(context) {
    const ttl = context.flags.text('ttl');
    if (ttl !== undefined) durationOf('--ttl', ttl);
    return createPrewarm(context, { createdBy: BY_PIN, pin: ttl ?? FOREVER, keepMs: KEEP_MS });
  },
};
