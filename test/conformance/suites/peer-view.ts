/** The contract of every PeerView, for any source of peers. */
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PeerAddress, PeerSet, PeerView } from '#cache/engine/ports.ts';

export interface PeerViewHarness {
  readonly view: PeerView;
  /** Changes the peers (`ip:port`) and waits until the view can have noticed; absent if peers never change. */
  readonly change?: (peers: readonly string[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** `open` returns a view of exactly `peers`. */
export function peerViewConformance(
  name: string,
  open: (options: { readonly peers: readonly string[]; readonly self: string }) => Promise<PeerViewHarness>,
  options: { readonly changes: boolean },
): void {
  const A = '127.0.0.1:8444';
  const B = '127.0.0.2:8444';
  const C = '127.0.0.3:8444';

  async function opened(peers: readonly string[], self: string): Promise<PeerViewHarness> {
    const harness = await open({ peers, self });
    onTestFinished(() => harness.close());
    return harness;
  }

  describe(`${name} as a peer view`, () => {
    test('knows itself before anything else', async () => {
      const { view } = await opened([A, B], A);
      expect(view.current().self).toBe(A);
      expect(view.current().owners).toContain(A);
    });

    test('becomes ready, and then contains all peers, sorted', async () => {
      const { view } = await opened([C, A, B], B);
      await view.ready();
      expect(view.current()).toMatchObject({ self: B, owners: [A, B, C], terminating: [] });
    });

    test('contains this replica even if the list of peers does not', async () => {
      const { view } = await opened([A, B], C);
      await view.ready();
      expect(view.current().owners).toEqual([A, B, C]);
    });

    test('has the same epoch on every replica', async () => {
      const { view } = await opened([B, A, C], A);
      const { view: other } = await opened([C, B, A], C);
      await Promise.all([view.ready(), other.ready()]);
      expect(view.current().epoch).toBe(other.current().epoch);
      expect(view.current().epoch).toBe(createHash('sha256').update([A, B, C].join('\n')).digest('hex').slice(0, 16));
    });

    test('contains immutable sets', async () => {
      const { view } = await opened([A, B], A);
      await view.ready();
      const set = view.current();
      expect(() => (set.owners as PeerAddress[]).pop()).toThrow(TypeError);
      expect(view.current()).toBe(set);
    });

    test('is not stale right after it became ready', async () => {
      const { view } = await opened([A], A);
      await view.ready();
      expect(view.staleMs()).toBe(0);
    });

    test('can be closed twice, and keeps its last peers', async () => {
      const { view } = await opened([A, B], A);
      await view.ready();
      await view.close();
      await view.close();
      expect(view.current().owners).toEqual([A, B]);
    });

    if (!options.changes) return;

    test('notifies every listener once of a change, and none that unsubscribed', async () => {
      const { view, change } = await opened([A, B], A);
      await view.ready();
      const seen: PeerSet[] = [];
      const left: PeerSet[] = [];
      view.onChange((peers) => seen.push(peers));
      view.onChange((peers) => left.push(peers))();
      await change?.([A, B, C]);
      expect(seen.map((peers) => peers.owners)).toEqual([[A, B, C]]);
      expect(view.current()).toBe(seen[0]);
      expect(left).toEqual([]);
    });

    test('does not notify without a change', async () => {
      const { view, change } = await opened([A, B], A);
      await view.ready();
      const seen: PeerSet[] = [];
      view.onChange((peers) => seen.push(peers));
      await change?.([B, A]);
      expect(seen).toEqual([]);
    });

    test('does not notify after it was closed', async () => {
      const { view, change } = await opened([A, B], A);
      await view.ready();
      const seen: PeerSet[] = [];
      view.onChange((peers) => seen.push(peers));
      await view.close();
      await change?.([A]);
      expect(seen).toEqual([]);
      expect(view.current().owners).toEqual([A, B]);
    });

    test('notifies the other listeners when one throws', async () => {
      const { view, change } = await opened([A, B], A);
      await view.ready();
      const seen: PeerSet[] = [];
      view.onChange(() => {
        throw new Error('a bug');
      });
      view.onChange((peers) => seen.push(peers));
      await change?.([A]);
      expect(seen).toHaveLength(1);
    });
  });
}
