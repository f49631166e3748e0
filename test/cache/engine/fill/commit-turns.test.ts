import { describe, expect, test } from 'vitest';
import { CommitTurns } from '#cache/engine/fill/commit-turns.ts';
import { turns } from '#test/support/engine-checks.ts';
import { collect, MIB, openEngines, patternBytes, readRequest } from '#test/support/engines.ts';
import { fakeClock } from '#test/support/fake-clock.ts';

function open() {
  const clock = fakeClock();
  const memory = { budgetBytes: 16 * MIB, isRelaxed: true };
  const commits = new CommitTurns(memory, clock);
  const begun: string[] = [];
  const commit = (name: string) => void commits.wait(MIB).then(() => begun.push(name));
  return { clock, memory, commits, begun, commit };
}

describe('a commit', () => {
  test('begins at once if no client reads from a fill, or memory is short', async () => {
    const { clock, memory, commits, begun, commit } = open();
    commit('first');
    await clock.advance(0);
    commits.follow(commits, true);
    memory.isRelaxed = false;
    commit('second');
    await clock.advance(0);
    expect(begun).toEqual(['first', 'second']);
  });

  test('waits until no client reads from a fill, and a second at most', async () => {
    const { clock, commits, begun, commit } = open();
    const [one, other] = [{}, {}];
    commits.follow(one, true);
    commits.follow(other, true);
    commit('a');
    commits.follow(one, false);
    await clock.advance(0);
    expect(begun).toEqual([]);
    commits.follow(other, false);
    await clock.advance(0);
    expect(begun).toEqual(['a']);
    commits.follow(one, true);
    commit('b');
    await clock.advance(900);
    expect(begun).toEqual(['a']);
    await clock.advance(100);
    expect(begun).toEqual(['a', 'b']);
  });

  test('waits with others in an eighth of the memory budget, beyond which the oldest begins', async () => {
    const { clock, commits, begun, commit } = open();
    commits.follow(commits, true);
    for (const name of ['a', 'b', 'c', 'd']) commit(name);
    await clock.advance(0);
    expect(begun).toEqual(['a', 'b']);
    commits.hurry();
    await clock.advance(0);
    expect(begun).toEqual(['a', 'b', 'c', 'd']);
  });
});

test('chunks of one client are committed when its response has been sent; those of two clients at once', async () => {
  for (const clients of [1, 2]) {
    const engines = openEngines({ readahead: 0, budgetBytes: 64 * MIB });
    const { engine } = engines.replicas[0]!;
    const body = patternBytes(3 * MIB);
    engines.origin.put('far-models', 'a', body);
    const reads = await Promise.all(Array.from({ length: clients }, () => engine.read(readRequest('a'))));
    const other = await engine.read(readRequest('a', { range: 'bytes=2097152-' }));
    await turns(20);
    const early = engines.store.paths().length;
    for (const result of [...reads.slice(1), other]) await collect(result);
    expect((await collect(reads[0]!)).equals(body)).toBe(true);
    await engine.idle();
    expect(early === 0).toBe(clients === 1);
    expect(engines.store.paths()).toHaveLength(3);
  }
});
