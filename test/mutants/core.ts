import type { Mutant } from './mutants.ts';

/** Bugs in the pure code of the cache. */
export const CORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a suffix range of zero bytes is the whole object',
    file: 'cache/core/range.ts',
    search: 'if (lengthBytes === 0) return UNSATISFIABLE;',
    replace: 'if (lengthBytes === 0) return WHOLE;',
  },
  {
    name: 'a range that starts at the end of the object is satisfiable',
    file: 'cache/core/range.ts',
    search: 'if (from >= sizeBytes) return UNSATISFIABLE;',
    replace: 'if (from > sizeBytes) return UNSATISFIABLE;',
  },
  {
    name: 'If-Match compares weakly',
    file: 'cache/core/preconditions.ts',
    search: "matches(conditions.ifMatch, object.etag, 'strong')",
    replace: "matches(conditions.ifMatch, object.etag, 'weak')",
  },
  {
    name: 'If-Modified-Since decides although If-None-Match is present',
    file: 'cache/core/preconditions.ts',
    search: "? { kind: 'not_modified' } : { kind: 'proceed' };\n  const since",
    replace:
      "? { kind: 'not_modified' } : evaluatePreconditions({ ...conditions, ifNoneMatch: undefined }, object);\n  const since",
  },
  {
    name: 'an object modified in the second of If-Unmodified-Since fails the precondition',
    file: 'cache/core/preconditions.ts',
    search: 'since !== undefined && modifiedS > since',
    replace: 'since !== undefined && modifiedS >= since',
  },
  {
    name: 'If-Range with a weak ETag applies the range',
    file: 'cache/core/preconditions.ts',
    search: "if (header.startsWith('W/')) return false;",
    replace: "if (header.startsWith('W/')) return true;",
  },
  {
    name: 'a terminating endpoint that still serves owns chunks',
    file: 'cache/core/peer-set.ts',
    search: "conditions?.terminating === true ? 'terminating'",
    replace: "conditions?.terminating === true && conditions.serving === false ? 'terminating'",
  },
  {
    name: 'endpoints that do not serve own chunks beside those that do',
    file: 'cache/core/peer-set.ts',
    search: "serving.length > 0 ? serving : inState('notServing')",
    replace: "[...serving, ...inState('notServing')]",
  },
  {
    name: 'the worse one of two states of an address counts',
    file: 'cache/core/peer-set.ts',
    search: 'STATE_RANK[state] > STATE_RANK[before]',
    replace: 'STATE_RANK[state] < STATE_RANK[before]',
  },
  {
    name: 'self remains an owner while it is leaving',
    file: 'cache/core/peer-set.ts',
    search: "for (const address of ownPod) if (states.get(address) !== 'terminating') owners.add(address);",
    replace: 'for (const address of ownPod) owners.add(address);',
  },
  {
    name: 'a worker knows the other workers of its pod only from the slices',
    file: 'cache/core/peer-set.ts',
    search: "for (const address of ownPod) if (states.get(address) !== 'terminating') owners.add(address);",
    replace: "if (states.get(selfAddress) !== 'terminating') owners.add(selfAddress);",
  },
  {
    name: 'an object as large as a tier’s minimum is not in the tier',
    file: 'cache/core/chunk.ts',
    search: 'if (sizeBytes >= tier.minObjectSizeBytes)',
    replace: 'if (sizeBytes > tier.minObjectSizeBytes)',
  },
  {
    name: 'a key may leave its prefix if it returns',
    file: 'cache/core/s3/path-traversal.ts',
    search: 'if (depth < (deepest >= minDepth ? minDepth : 0)) return false;',
    replace: '',
  },
  {
    name: 'a continuation token of another list is accepted',
    file: 'cache/core/s3/continuation-token.ts',
    search: 'JSON.stringify([bucket, prefix, delimiter, after])',
    replace: 'JSON.stringify([bucket, delimiter, after])',
  },
  {
    name: 'a signature over an unsigned x-amz- header is accepted',
    file: 'cache/core/s3/sigv4-verify.ts',
    search: "name === 'host' || name.startsWith('x-amz-')",
    replace: "name === 'host'",
  },
  {
    name: 'a header signature never expires',
    file: 'cache/core/s3/sigv4-verify.ts',
    search: 'Math.abs(nowMs - dateMs) <= MAX_SKEW_MS',
    replace: 'nowMs - dateMs <= MAX_SKEW_MS',
  },
  {
    name: 'the session token of a temporary key is not compared',
    file: 'cache/core/s3/sigv4-verify.ts',
    search: "if (!sameText(claim.sessionToken ?? '', key.sessionToken ?? ''))",
    replace: 'if (claim.sessionToken !== undefined && key.sessionToken === undefined)',
  },
  {
    name: 'a peer request is accepted twice',
    file: 'cache/core/peer/auth.ts',
    search: 'if (dateMs <= floorMs || dates.has(nonce)) return false;',
    replace: 'if (dateMs <= floorMs) return false;',
  },
  {
    name: 'nonces dropped for space may be replayed',
    file: 'cache/core/peer/auth.ts',
    search: 'floorMs = Math.max(floorMs, oldDateMs);',
    replace: '',
  },
  {
    name: 'a peer request for another replica is accepted',
    file: 'cache/core/peer/auth.ts',
    search: 'lines([REQUEST_CONTEXT, method, target, receiver, bodyHash, ...orca])',
    replace: 'lines([REQUEST_CONTEXT, method, target, bodyHash, ...orca])',
  },
  {
    name: 'a peer’s refusal is believed with any status',
    file: 'cache/core/peer/refusal.ts',
    search: '!isShared(code) || STATUS[code] !== status',
    replace: '!isShared(code)',
  },
  {
    name: 'a racy store counts as atomic when the stored bytes are those of the winner',
    file: 'cache/core/store-verdict.ts',
    search: "if (winners.length > 1) return 'racy';",
    replace: '',
  },
  {
    name: 'a store verdict from the future is used',
    file: 'cache/core/store-verdict.ts',
    search: 'ageMs < verdictKeptMs({ problems }) && ageMs > -MAX_SKEW_MS',
    replace: 'ageMs < verdictKeptMs({ problems })',
  },
  {
    name: 'a chunk with more block checksums than blocks is readable',
    file: 'cache/core/chunk-metadata.ts',
    search: "if (Buffer.byteLength(base64, 'base64') !== count * 4) throw inconsistent();",
    replace: '',
  },
];
