import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBucketName } from '#cache/core/s3/bucket-name.ts';
import { parseRequestTarget } from '#cache/core/s3/request-target.ts';
import { BucketTable, type BucketRule } from '#cache/engine/buckets/bucket-rule.ts';
import { s3Address } from '#cache/wire/s3/address.ts';
import { nasty, outcomeOf, RUNS } from '#test/support/fuzz.ts';

const rule = (name: string, more: Partial<BucketRule> = {}): BucketRule => ({
  name,
  originBucket: name,
  prefix: '',
  metadataTtlMs: 1,
  immutable: false,
  ...more,
});

describe('a pattern', () => {
  const table = new BucketTable([
    rule('team-*'),
    rule('team-red-*', { originBucket: 'acme-red-*', prefix: 'public/' }),
    rule('team-blue', { prefix: 'shared/' }),
    rule('models'),
  ]);

  test.for([
    ['team-green', 'team-green'],
    ['team-red-a', 'acme-red-a'],
    ['team-blue', 'team-blue'],
    ['models', 'models'],
  ] as const)('serves %s from %s', ([name, originBucket]) => {
    expect(table.get(name)).toMatchObject({ originBucket });
  });

  test.for(['team', 'team-', 'teams', 'other', 'model', 'team-*', 'team-Red', 'team-a/b', 'team-a..b', 'team-..', ''])(
    'does not serve %j',
    (name) => {
      expect(table.get(name)).toBeUndefined();
    },
  );

  test('does not widen a rule with a name', () => {
    expect(table.get('team-blue')).toMatchObject({ prefix: 'shared/' });
    expect(table.servesOrigin('team-blue', 'shared/a')).toBe(true);
    expect(table.servesOrigin('team-blue', 'secret')).toBe(false);
  });

  test('does not widen a longer pattern', () => {
    expect(table.servesOrigin('acme-red-a', 'public/a')).toBe(true);
    expect(table.servesOrigin('acme-red-a', 'secret')).toBe(false);
    // Its clients read acme-red-a under this name, so that no client reads this bucket.
    expect(table.servesOrigin('team-red-a', 'public/a')).toBe(false);
  });

  test('keeps its name in the rule, so that metrics of its buckets can be folded', () => {
    expect(table.get('team-green')?.name).toBe('team-*');
  });

  test('gives the client’s name for a bucket of the origin', () => {
    const [longer, shorter] = table.patterns();
    expect(table.clientNameOf(longer!, 'acme-red-a')).toBe('team-red-a');
    expect(table.clientNameOf(shorter!, 'team-green')).toBe('team-green');
    expect(table.clientNameOf(shorter!, 'team-red-a')).toBeUndefined();
    expect(table.clientNameOf(shorter!, 'other')).toBeUndefined();
  });

  test('reaches no bucket outside it, whatever a request names', () => {
    const address = s3Address({ endpoint: 'http://origin.test', region: 'us-east-1', forcePathStyle: true });
    const target = nasty('/', 'team-', 'team-red-', '%2F', '..', '%2e%2e', '%00', '%3F', '?', 'models', '*', '.', '@');
    fc.assert(
      fc.property(target, (raw) => {
        const outcome = outcomeOf(() => parseRequestTarget(`/${raw}`), 'invalid_uri');
        if ('error' in outcome) return;
        const { bucket } = outcome.value;
        const found = table.get(bucket);
        if (found === undefined) return;
        expect(isBucketName(found.originBucket)).toBe(true);
        // The URL of the origin's bucket has it as one segment, before and after normalization.
        const { path } = address.of(found.originBucket, 'key');
        expect(new URL(path, 'http://origin.test').pathname).toBe(`/${found.originBucket}/key`);
        expect(found.originBucket).toMatch(/^(?:team-|acme-red-|models$)/);
      }),
      { numRuns: RUNS },
    );
  });

  test('allows a peer to read exactly what its clients can read', () => {
    const name = nasty('team-', 'red-', 'acme-', 'blue', 'a', '.', '-', '*', '/').filter((text) => text !== '');
    fc.assert(
      fc.property(name, fc.constantFrom('public/a', 'shared/a', 'a'), (originBucket, key) => {
        const readable = [originBucket, originBucket.replace('acme-red-', 'team-red-')].some((bucket) => {
          const found = table.get(bucket);
          return found?.originBucket === originBucket && key.startsWith(found.prefix);
        });
        expect(table.servesOrigin(originBucket, key)).toBe(readable);
      }),
      { numRuns: RUNS },
    );
  });
});
