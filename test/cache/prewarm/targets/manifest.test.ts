import { describe, expect, it } from 'vitest';
import { OrcaError } from '#cache/core/errors.ts';
import type { ReadRequest, ReadResult } from '#cache/engine/read.ts';
import { manifestTarget } from '#cache/prewarm/targets/manifest.ts';
import { keysTarget } from '#cache/prewarm/targets/keys.ts';
import type { Target } from '#cache/prewarm/targets/target.ts';
import { KubeError } from '#shared/kube/error.ts';

const { signal } = new AbortController();

/** A fake of the read path: one object, in pieces of 1000 bytes. */
function objectOf(text: string) {
  const current = { bytes: Buffer.from(text, 'utf8'), etag: 'v1', held: 0 };
  const read = async ({ range, headOnly }: ReadRequest): Promise<ReadResult> => {
    const { bytes, etag } = current;
    const [from = 0, last = bytes.length - 1] = (range?.slice('bytes='.length).split('-') ?? []).map(Number);
    async function* body() {
      if (headOnly) return;
      for (let at = from; at <= last; at += 1000) {
        current.held += 1;
        const release = (): void => void (current.held -= 1);
        yield { bytes: bytes.subarray(at, Math.min(last + 1, at + 1000)), source: 'memory', release } as const;
      }
    }
    return { object: { etag, sizeBytes: bytes.length }, body: body() } as unknown as ReadResult;
  };
  return { current, read };
}

const targetOf = (read: (request: ReadRequest) => Promise<ReadResult>): Target =>
  manifestTarget({ kind: 'manifest', bucket: 'models', manifest: { bucket: 'lists', key: 'keys.txt' } }, read);

async function positionsOf(
  target: Target,
  after = '',
): Promise<{ keys: string[]; positions: string[]; pages: number }> {
  const [keys, positions]: [string[], string[]] = [[], []];
  let pages = 0;
  for await (const page of target.pages(after, signal)) {
    expect(page.keys.length).toBeLessThanOrEqual(1000);
    pages += 1;
    for (const entry of page.keys) {
      keys.push(entry.key);
      positions.push(entry.after);
    }
  }
  return { keys, positions, pages };
}

describe('a manifest', () => {
  const names = Array.from({ length: 6_000 }, (_, at) => `data/part-${at}-${'x'.repeat(at % 50)}`);

  it('is read in ranges, and continued after any of its keys', async () => {
    const { current, read } = objectOf(names.join('\n'));
    const target = targetOf(read);
    const { keys, positions, pages } = await positionsOf(target);
    expect(keys).toEqual(names);
    expect(pages).toBeGreaterThan(2);
    expect(current.held).toBe(0);
    for (const at of [0, 1, 999, 1000, 3_456, 5_999])
      expect((await positionsOf(target, positions[at])).keys).toEqual(names.slice(at + 1));
  });

  it('is read from its start if it has changed', async () => {
    const { current, read } = objectOf('a\nb\nc');
    const { positions } = await positionsOf(targetOf(read));
    Object.assign(current, { bytes: Buffer.from('x\ny\nz'), etag: 'v2' });
    expect((await positionsOf(targetOf(read), positions[1])).keys).toEqual(['x', 'y', 'z']);
    expect((await positionsOf(targetOf(read), 'nonsense')).keys).toEqual(['x', 'y', 'z']);
  });

  it('may be empty', async () => {
    expect((await positionsOf(targetOf(objectOf('').read))).keys).toEqual([]);
  });

  it('is refused if it is not a list', async () => {
    const target = targetOf(objectOf('\0'.repeat(300_000)).read);
    await expect(positionsOf(target)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('that does not exist is an error', async () => {
    const target = targetOf(() => Promise.reject(new OrcaError('not_found', 'no such object')));
    await expect(positionsOf(target)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('keys of a ConfigMap', () => {
  const spec = { kind: 'keys', bucket: 'models', configMap: { name: 'keys', key: 'list' } } as const;
  const open = (answer: () => unknown): Target => keysTarget(spec, { request: async <T>() => answer() as T }, 'ml');

  it('are read page by page, and continued after any of them', async () => {
    const names = Array.from({ length: 2_500 }, (_, at) => `key-${at}`);
    const target = open(() => ({ data: { list: `${names.join('\n')}\n` } }));
    const { keys, positions, pages } = await positionsOf(target);
    expect(keys).toEqual(names);
    expect(pages).toBe(3);
    expect((await positionsOf(target, positions[1_234])).keys).toEqual(names.slice(1_235));
  });

  it('that cannot be read are an error with the name of the ConfigMap', async () => {
    const failing = (status: number) =>
      open(() => {
        throw new KubeError(status, 'Reason', `GET: ${status}`);
      });
    await expect(positionsOf(failing(404))).rejects.toMatchObject({ code: 'not_found' });
    await expect(positionsOf(failing(403))).rejects.toMatchObject({ code: 'access_denied' });
    await expect(positionsOf(failing(0))).rejects.toMatchObject({ code: 'overloaded' });
    await expect(positionsOf(open(() => ({ data: { other: '' } })))).rejects.toThrow(
      'ConfigMap ml/keys has no key list',
    );
    await expect(positionsOf(open(() => ({})))).rejects.toMatchObject({ code: 'not_found' });
  });
});
