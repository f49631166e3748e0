/** Engines with one known object, whose metadata tests request in simulated time. */
import { OrcaError } from '#cache/core/errors.ts';
import type { ReadRequest } from '#cache/engine/read.ts';
import { openEngines, patternBytes, readAll, readRequest, whileTimePasses, type EnginesOptions } from './engines.ts';
import { turns } from './engine-checks.ts';
import { fakeClock, type FakeClock } from './fake-clock.ts';

export const MINUTE_MS = 60_000;
/** The object's name at the origin. */
export const OBJECT = { originId: 'test', bucket: 'far-models', key: 'a' };

/** Manifests are written in the background, within a few turns of the event loop. */
export const manifestsWritten = () => turns(10);

/** The field that marks the stored manifest of a deleted object. */
export const TOMBSTONE = Object.fromEntries([['gone', true]]);

/** Object `a` of 1 000 bytes. `get` and `head` read it at replica `i`, while time passes. */
export function openMetadata(options: Omit<EnginesOptions, 'clock'> & { readonly clock?: FakeClock } = {}) {
  const { clock = fakeClock() } = options;
  const engines = openEngines({ readahead: 0, ...options, clock });
  engines.origin.put('far-models', 'a', patternBytes(1_000, 1));
  const get = (i = 0, more: Partial<ReadRequest> = {}) =>
    whileTimePasses(clock, readAll(engines.replicas[i]!.engine, readRequest('a', more)));
  const head = async (i = 0, more: Partial<ReadRequest> = {}) => (await get(i, { headOnly: true, ...more })).result;
  const stopOrigin = () =>
    engines.origin.inject({ on: 'head', what: new OrcaError('origin_unavailable', 'down'), times: 1_000 });
  return { clock, engines, origin: engines.origin, store: engines.store, get, head, stopOrigin };
}
