/** Two engines of which one coordinates every chunk. */
import { openEngines, patternBytes, peerSet, type EnginesOptions, type Replica } from './engines.ts';

/** An object of one chunk, which `owner` coordinates: `reader` gets all of it from there. */
export function twoReplicas(chunkBytes: number, options: EnginesOptions = {}) {
  const engines = openEngines({ replicas: 2, chunkBytes, readahead: 0, ...options });
  const [reader, owner] = engines.replicas as [Replica, Replica];
  // Both views have the owner as the only candidate, whatever the hash of the chunk is.
  reader.view = { ...peerSet(reader.address, [owner.address]), self: reader.address };
  owner.view = peerSet(owner.address, [owner.address]);
  const body = patternBytes(chunkBytes);
  engines.origin.put('far-models', 'a', body);
  return { engines, reader, owner, body };
}
