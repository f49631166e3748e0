import { describe, expect, test } from 'vitest';
import { parseConfig } from '#cache/config/load.ts';
import type { Facts } from '#cache/config/resolve.ts';
import { workerConfig } from '#cache/config/workers.ts';
import { facts, GIB, minimalFileWith, problemsOf } from './minimal-file.ts';

const on = (cores: number, platform = 'linux'): Facts => ({ ...facts, host: { cores, platform } });
const workersOf = (changes: Readonly<Record<string, unknown>>, withFacts: Facts = facts): number =>
  parseConfig(minimalFileWith(changes), withFacts).workers;

describe('the number of workers', () => {
  test('is one by default', () => expect(workersOf({}, on(8))).toBe(1));
  test('is the configured one, whatever the machine has', () => expect(workersOf({ workers: 2 }, on(1))).toBe(2));

  test.for([
    ['the cores', 3, { 'memory.budget': '2Gi' }, 3],
    ['at least one', 0, {}, 1],
    ['at most 16', 64, { 'memory.budget': '64Gi' }, 16],
    // Four chunks of 128 MiB for each worker: the largest default tier.
    ['what the memory holds', 8, { 'memory.budget': '1Gi' }, 2],
  ] as const)('auto is %s', ([, cores, changes, workers]) => {
    expect(workersOf({ workers: 'auto', ...changes }, on(cores))).toBe(workers);
  });

  test('auto is one where no port can be shared', () =>
    expect(workersOf({ workers: 'auto' }, on(8, 'darwin'))).toBe(1));
});

describe('the host ::', () => {
  const hostsOf = (hasIpv6: boolean): string[] => {
    const { listen } = parseConfig(minimalFileWith({}), { ...facts, host: { cores: 1, platform: 'linux', hasIpv6 } });
    return Object.values(listen).map(({ host }) => host);
  };
  test('stays on a machine with IPv6', () => expect(hostsOf(true)).toEqual(['::', '::', '::']));
  test('is 0.0.0.0 on a machine without IPv6', () => expect(hostsOf(false)).toEqual(['0.0.0.0', '0.0.0.0', '0.0.0.0']));
});

test.for([
  [{ workers: 0 }, 'workers: must be an integer from 1 to 16, or auto'],
  [{ workers: 17 }, 'workers: must be an integer from 1 to 16, or auto'],
  [{ workers: '2' }, 'workers: must be an integer from 1 to 16, or auto'],
  [{ workers: 'all' }, 'workers: must be an integer from 1 to 16, or auto'],
  [{ workers: 2, 'listen.edge': '127.0.0.1:0' }, 'listen.edge: must have a fixed port if there are several workers'],
  [
    { workers: 4, 'memory.budget': '1Gi' },
    'memory.budget: must be at least four times the largest chunk size for each of the 4 workers; or lower workers',
  ],
  [
    { workers: 2, 'listen.ops': '127.0.0.1:8445' },
    "listen.ops: must not be one of the workers' peer ports, which are 8444 to 8445",
  ],
  [
    { workers: 2, 'listen.peer': '127.0.0.1:65535' },
    'listen.peer: must have a port of at most 65534, because each of the 2 workers has one',
  ],
  [
    {
      workers: 2,
      'listen.peer': '127.0.0.1:7000',
      peers: { type: 'Static', static: { peers: ['127.0.0.1:7000', '127.0.0.1:7001'] } },
    },
    'peers.static.peers[0]: has 2 workers, on this port and the next ones, which include that of 127.0.0.1:7001',
  ],
] as const)('%j is refused', ([changes, problem]) => {
  expect(problemsOf(minimalFileWith(changes))).toContain(problem);
});

test('several workers need Linux', () => {
  expect(problemsOf(minimalFileWith({ workers: 2 }), on(8, 'darwin'))).toEqual([
    'workers: must be 1 on darwin: only Linux shares a port among processes',
  ]);
});

test('workers divide the memory and the connections, and each has a peer port', () => {
  const config = parseConfig(
    minimalFileWith({ workers: 3, 'memory.budget': '3Gi', 'edge.maxConnections': 1000 }),
    facts,
  );
  const all = [0, 1, 2].map((index) => workerConfig(config, index));
  expect(all.map(({ listen }) => listen.peer.port)).toEqual([8444, 8445, 8446]);
  expect(all.map(({ listen }) => listen.edge.port)).toEqual([8443, 8443, 8443]);
  expect(all[2]!.memory.budgetBytes).toBe(GIB);
  expect(all[2]!.edge.maxConnections).toBe(334);
  expect(all[2]!.hash).toBe(config.hash);
});
