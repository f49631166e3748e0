import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { helm, MONITORING, template } from './helm.ts';

test.for([
  ['orcacache', 'monitoring'],
  ['orcacache-cluster', 'two'],
] as const)('%s renders the same from its package', async ([chart, values]) => {
  const folder = await mkdtemp(join(tmpdir(), 'package-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await helm('package', `charts/${chart}`, '--destination', folder);
  const [name = ''] = await readdir(folder);
  const args = ['-f', `charts/${chart}/ci/${values}-values.yaml`, ...MONITORING];
  const [packaged, folderItself] = await Promise.all([
    template(join(folder, name), ...args),
    template(`charts/${chart}`, ...args),
  ]);
  expect(packaged).toBe(folderItself);
  expect(await helm('show', 'readme', join(folder, name))).toContain('## Values');
});
