import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countEndpoints,
  expandWorkers,
  parsePeerAddress,
  peerSetOf,
  samePeers,
  type EndpointSlice,
  type PeerAddress,
} from '#cache/core/peer-set.ts';

interface Conditions {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}
const SELF = { ip: '10.0.0.1', port: 8444 };

function slice(
  endpoints: Readonly<Record<string, Conditions | undefined>>,
  extra: Partial<EndpointSlice> = {},
): EndpointSlice {
  return {
    addressType: 'IPv4',
    endpoints: Object.entries(endpoints).map(([ip, conditions]) => ({
      addresses: [ip],
      ...(conditions === undefined ? {} : { conditions }),
    })),
    ports: [{ name: 'peer', port: 8444 }],
    ...extra,
  };
}

const up: Conditions = { ready: true, serving: true, terminating: false };
/** A pod that is not ready, with publishNotReadyAddresses. */
const starting: Conditions = { ready: true, serving: false, terminating: false };
const draining: Conditions = { ready: true, serving: true, terminating: true };

describe('owners', () => {
  test('are the serving endpoints that are not terminating, sorted', () => {
    const set = peerSetOf(
      [slice({ '10.0.0.9': up, '10.0.0.1': up, '10.0.0.2': starting, '10.0.0.3': draining })],
      SELF,
    );
    expect(set.owners).toEqual(['10.0.0.1:8444', '10.0.0.9:8444']);
    expect(set.terminating).toEqual(['10.0.0.3:8444']);
  });

  test.for([
    ['no conditions at all', undefined],
    ['no serving condition', { ready: true }],
    ['no terminating condition', { serving: true }],
  ] as const)('include an endpoint with %s', ([, conditions]) => {
    expect(peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': conditions })], SELF).owners).toContain('10.0.0.2:8444');
  });

  test('are combined from all slices without duplicates', () => {
    const set = peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': up }), slice({ '10.0.0.2': up, '10.0.0.3': up })], SELF);
    expect(set.owners).toEqual(['10.0.0.1:8444', '10.0.0.2:8444', '10.0.0.3:8444']);
  });

  test('include an address that a new pod took over from a draining one', () => {
    const set = peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': draining }), slice({ '10.0.0.2': up })], SELF);
    expect(set.owners).toContain('10.0.0.2:8444');
    expect(set.terminating).toEqual([]);
  });

  test('are all endpoints that are not terminating if none serves', () => {
    const set = peerSetOf([slice({ '10.0.0.1': starting, '10.0.0.2': starting, '10.0.0.3': draining })], SELF);
    expect(set.owners).toEqual(['10.0.0.1:8444', '10.0.0.2:8444']);
  });

  test('exclude endpoints that do not serve if another one does', () => {
    const set = peerSetOf([slice({ '10.0.0.2': starting, '10.0.0.3': up })], SELF);
    expect(set.owners).toEqual(['10.0.0.1:8444', '10.0.0.3:8444']);
  });
});

describe('self', () => {
  test('is an owner before its readiness probe passes', () => {
    expect(peerSetOf([slice({ '10.0.0.1': starting, '10.0.0.2': up })], SELF).owners).toContain('10.0.0.1:8444');
  });

  test('is an owner even if no slice contains it', () => {
    expect(peerSetOf([], SELF).owners).toEqual(['10.0.0.1:8444']);
  });

  test('is not an owner once the slices show it terminating', () => {
    const set = peerSetOf([slice({ '10.0.0.1': draining, '10.0.0.2': up })], SELF);
    expect(set.owners).toEqual(['10.0.0.2:8444']);
    expect(set.terminating).toEqual(['10.0.0.1:8444']);
  });

  test('is not an owner once it is leaving, regardless of the slices', () => {
    const set = peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': up })], { ...SELF, leaving: true });
    expect(set.owners).toEqual(['10.0.0.2:8444']);
  });
});

describe('addresses', () => {
  test('are only those of the IP family of self', () => {
    const slices = [
      slice({ '10.0.0.1': up }),
      slice({ 'fd00::2': up }, { addressType: 'IPv6' }),
      slice({ 'a.example': up }, { addressType: 'FQDN' }),
    ];
    expect(peerSetOf(slices, SELF).owners).toEqual(['10.0.0.1:8444']);
    expect(peerSetOf(slices, { ip: 'fd00::1', port: 8444 }).owners).toEqual(['[fd00::1]:8444', '[fd00::2]:8444']);
    expect(countEndpoints(slices, 'fd00::1')).toBe(1);
  });

  test('are canonical for IPv6', () => {
    const set = peerSetOf([slice({ 'fd00:0:0:0::00aB': up }, { addressType: 'IPv6' })], { ip: 'FD00::ab', port: 8444 });
    expect(set.owners).toEqual(['[fd00::ab]:8444']);
  });

  test('have the port named peer, otherwise the default port', () => {
    const ports = [
      { name: 'metrics', port: 1 },
      { name: 'peer', port: 9000 },
    ];
    const set = peerSetOf([slice({ '10.0.0.2': up }, { ports }), slice({ '10.0.0.3': up }, { ports: [] })], SELF);
    expect(set.owners).toEqual(['10.0.0.1:8444', '10.0.0.2:9000', '10.0.0.3:8444']);
  });

  test('tolerate slices without endpoints or ports', () => {
    const set = peerSetOf([{ addressType: 'IPv4', endpoints: null, ports: null }, { addressType: 'IPv4' }], SELF);
    expect(set.owners).toEqual(['10.0.0.1:8444']);
  });

  test.for(['10.0.0.1', 'a:b:c', '[::1]', '10.0.0.1:0', '10.0.0.1:70000', '10.0.0.1:08', ''])(
    '%j is rejected',
    (text) => {
      expect(() => parsePeerAddress(text)).toThrow(RangeError);
    },
  );

  test.for([
    ['127.0.0.1:8444', '127.0.0.1:8444'],
    ['[FD00:0::1]:8444', '[fd00::1]:8444'],
  ] as const)('%s is parsed as %s', ([text, address]) => {
    expect(parsePeerAddress(text)).toBe(address);
  });
});

describe('workers', () => {
  const ports = (count: number, first = 8444) =>
    Array.from({ length: count }, (_, index) => ({
      name: index === 0 ? 'peer' : `peer-${index}`,
      port: first + index,
    }));

  test('are peers of their own: one for each named port of the slice', () => {
    const set = peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': up }, { ports: ports(2) })], {
      ...SELF,
      workers: 2,
      worker: 1,
    });
    expect(set.self).toBe('10.0.0.1:8445');
    expect(set.owners).toEqual(['10.0.0.1:8444', '10.0.0.1:8445', '10.0.0.2:8444', '10.0.0.2:8445']);
  });

  test('have the same view within a pod, also while the slices do not contain it', () => {
    for (const slices of [
      [],
      [slice({ '10.0.0.2': up })],
      [slice({ '10.0.0.1': starting, '10.0.0.2': up }, { ports: ports(3) })],
    ]) {
      const views = [0, 1, 2].map((worker) => peerSetOf(slices, { ...SELF, workers: 3, worker }));
      expect(new Set(views.map(({ epoch }) => epoch)).size).toBe(1);
      expect(views[0]!.owners).toEqual(expect.arrayContaining(['10.0.0.1:8444', '10.0.0.1:8445', '10.0.0.1:8446']));
    }
  });

  test('of pods with different numbers form one view, which each of them has', () => {
    const slices = [
      slice({ '10.0.0.1': up }),
      slice({ '10.0.0.2': up, '10.0.0.3': starting }, { ports: ports(2) }),
      slice({ '10.0.0.4': draining }, { ports: ports(3) }),
    ];
    const views = [
      peerSetOf(slices, SELF),
      peerSetOf(slices, { ip: '10.0.0.2', port: 8444, workers: 2, worker: 0 }),
      peerSetOf(slices, { ip: '10.0.0.2', port: 8444, workers: 2, worker: 1 }),
    ];
    for (const { owners, terminating } of views) {
      expect(owners).toEqual(['10.0.0.1:8444', '10.0.0.2:8444', '10.0.0.2:8445']);
      expect(terminating).toEqual(['10.0.0.4:8444', '10.0.0.4:8445', '10.0.0.4:8446']);
    }
  });

  test('leave together', () => {
    const slices = [slice({ '10.0.0.1': up, '10.0.0.2': up }, { ports: ports(2) })];
    const set = peerSetOf(slices, { ...SELF, workers: 2, worker: 1, leaving: true });
    expect(set.owners).toEqual(['10.0.0.2:8444', '10.0.0.2:8445']);
    expect(set.terminating).toEqual(['10.0.0.1:8444', '10.0.0.1:8445']);
  });

  test.for(['peer-0', 'peer-01', 'peer-16', 'peer-1x', 'other-peer', 'peers'])(
    'a port named %s is not a peer port',
    (name) => {
      const others = [
        { name: 'peer', port: 8444 },
        { name, port: 9000 },
        { name: null, port: 9001 },
      ];
      expect(peerSetOf([slice({ '10.0.0.2': up }, { ports: others })], SELF).owners).toEqual([
        '10.0.0.1:8444',
        '10.0.0.2:8444',
      ]);
    },
  );

  test('a port without a number is ignored', () => {
    const some = [{ name: 'peer', port: 8444 }, { name: 'peer-1', port: null }, { name: 'peer-2' }];
    expect(peerSetOf([slice({ '10.0.0.2': up }, { ports: some })], SELF).owners).toHaveLength(2);
  });

  test('with an IPv6 address keep its brackets', () => {
    expect(expandWorkers(parsePeerAddress('[fd00::1]:8444'), 2)).toEqual(['[fd00::1]:8444', '[fd00::1]:8445']);
  });

  test('any pods: every worker computes the same owners and the same epoch', () => {
    const pods = fc.uniqueArray(
      fc.record({ host: fc.integer({ min: 1, max: 250 }), workers: fc.integer({ min: 1, max: 16 }) }),
      { selector: ({ host }) => host, minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(pods, (list) => {
        const slices = list.map(({ host, workers }) => slice({ [`10.0.0.${host}`]: up }, { ports: ports(workers) }));
        const views = list.flatMap(({ host, workers }) =>
          Array.from({ length: workers }, (_, worker) =>
            peerSetOf(slices, { ip: `10.0.0.${host}`, port: 8444, workers, worker }),
          ),
        );
        expect(new Set(views.map(({ epoch }) => epoch)).size).toBe(1);
        expect(views.map(({ self }) => self).toSorted()).toEqual(views[0]!.owners);
      }),
    );
  });
});

describe('the epoch', () => {
  test('is the first 16 hex digits of the SHA-256 of the owners, one per line', () => {
    const set = peerSetOf([slice({ '10.0.0.2': up, '10.0.0.1': up })], SELF);
    const expected = createHash('sha256').update('10.0.0.1:8444\n10.0.0.2:8444').digest('hex').slice(0, 16);
    expect(set.epoch).toBe(expected);
    // Computed with sha256sum, so that a change of the algorithm is noticed.
    expect(set.epoch).toBe('96101c6baed8ad5e');
  });

  test('and the owners are equal on every replica, regardless of the number and order of slices', () => {
    const endpoints = fc.uniqueArray(fc.integer({ min: 1, max: 250 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(endpoints, fc.array(fc.nat(5), { maxLength: 20 }), fc.nat(), (numbers, cut, pick) => {
        const ips = numbers.map((number) => `10.0.0.${number}`);
        const one = slice(Object.fromEntries(ips.map((ip) => [ip, up])));
        const many = Array.from({ length: 6 }, (_, group) =>
          slice(
            Object.fromEntries(
              ips
                .toReversed()
                .filter((_ip, index) => (cut[index] ?? 0) === group)
                .map((ip) => [ip, up]),
            ),
          ),
        );
        const a = peerSetOf([one], { ip: ips[0] ?? '', port: 8444 });
        const b = peerSetOf(many, { ip: ips[pick % ips.length] ?? '', port: 8444 });
        expect(b.owners).toEqual(a.owners);
        expect(b.epoch).toBe(a.epoch);
      }),
    );
  });

  test('changes if an owner leaves, but not if a draining peer does', () => {
    const all = peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': up, '10.0.0.3': draining })], SELF);
    const without = peerSetOf([slice({ '10.0.0.1': up, '10.0.0.2': up })], SELF);
    expect(without.epoch).toBe(all.epoch);
    expect(samePeers(without, all)).toBe(false);
    expect(peerSetOf([slice({ '10.0.0.1': up })], SELF).epoch).not.toBe(all.epoch);
  });
});

test('a PeerSet is immutable', () => {
  const set = peerSetOf([slice({ '10.0.0.1': up })], SELF);
  expect(() => (set.owners as PeerAddress[]).push(set.self)).toThrow(TypeError);
});
