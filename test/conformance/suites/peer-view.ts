/** What every PeerView does, whatever it learns its peers from. */
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PeerAddress, PeerSet, PeerView } from '#cache/engine/ports.ts';

export interface PeerViewHarness {
  readonly view: PeerView;
  /** Makes the view learn these peers (`ip:port`) and waits until it could have; absent where peers never change. */
  readonly change?: (peers: readonly string[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** `open` gives a view whose world holds exactly `peers`. */
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

    test('becomes ready, and then shows all peers, sorted', async () => {
      const { view } = await opened([C, A, B], B);
      await view.ready();
      expect(view.current()).toMatchObject({ self: B, owners: [A, B, C], terminating: [] });
    });

    test('counts itself in although nobody named it', async () => {
      const { view } = await opened([A, B], C);
      await view.ready();
      expect(view.current().owners).toEqual([A, B, C]);
    });

    test('gives the epoch that every other replica gives', async () => {
      const { view } = await opened([B, A, C], A);
      const { view: other } = await opened([C, B, A], C);
      await Promise.all([view.ready(), other.ready()]);
      expect(view.current().epoch).toBe(other.current().epoch);
      expect(view.current().epoch).toBe(createHash('sha256').update([A, B, C].join('\n')).digest('hex').slice(0, 16));
    });

    test('gives sets that nobody can change', async () => {
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

    test('closes twice without harm and still knows its last peers', async () => {
      const { view } = await opened([A, B], A);
      await view.ready();
      await view.close();
      await view.close();
      expect(view.current().owners).toEqual([A, B]);
    });

    if (!options.changes) return;

    test('tells every listener of a change once, and none that has left', async () => {
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

    test('tells nobody when nothing changed', async () => {
      const { view, change } = await opened([A, B], A);
      await view.ready();
      const seen: PeerSet[] = [];
      view.onChange((peers) => seen.push(peers));
      await change?.([B, A]);
      expect(seen).toEqual([]);
    });

    test('tells nobody anything after it was closed', async () => {
      const { view, change } = await opened([A, B], A);
      await view.ready();
      const seen: PeerSet[] = [];
      view.onChange((peers) => seen.push(peers));
      await view.close();
      await change?.([A]);
      expect(seen).toEqual([]);
      expect(view.current().owners).toEqual([A, B]);
    });

    test('goes on telling the others when one listener throws', async () => {
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
