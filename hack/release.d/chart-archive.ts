/** A chart as Helm installs it, with the version and the image names of the release. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { tarOf, textFile, treeOf, type TarEntry } from './tar.ts';
import { writeGzip } from './write.ts';

export interface ChartOptions {
  /** The chart's folder. */
  readonly folder: string;
  readonly version: string;
  /** `host/folder` of the images; '' = as the chart names them. */
  readonly registry: string;
}

/** Where a chart names a registry, by chart. */
const IMAGES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  orcacache: [['image'], ['cacheImage']],
  'orcacache-cluster': [['tests', 'image']],
};

export async function writeChart(options: ChartOptions, epochSeconds: number, file: string): Promise<void> {
  await writeGzip(tarOf(chartEntries(options), epochSeconds), file);
}

export function* chartEntries({ folder, version, registry }: ChartOptions): Generator<TarEntry> {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const name = String(parseDocument(read('Chart.yaml')).get('name'));
  yield textFile(`${name}/Chart.yaml`, chartFile(read('Chart.yaml'), version, registry));
  yield textFile(`${name}/values.yaml`, valuesFile(read('values.yaml'), IMAGES[name] ?? [], registry));
  const ignored = ignoredBy(read('.helmignore'));
  const without = (path: string) => ignored(path) || ['Chart.yaml', 'values.yaml', '.helmignore'].includes(path);
  for (const entry of treeOf(folder, { prefix: name, without }))
    // Helm reads files only.
    if (entry.type === 'file') yield { ...entry, mode: 0o644 };
}

function chartFile(text: string, version: string, registry: string): string {
  const document = parseDocument(text);
  document.set('version', version);
  document.set('appVersion', version);
  const images = ['annotations', 'artifacthub.io/images'];
  const named = document.getIn(images);
  if (typeof named === 'string') {
    const prefix = registry === '' ? '' : `${registry}/`;
    document.setIn(images, named.replaceAll(/image: (orcacache\/[a-z]+):\S+/g, `image: ${prefix}$1:${version}`));
  }
  return document.toString({ lineWidth: 0 });
}

function valuesFile(text: string, images: readonly (readonly string[])[], registry: string): string {
  if (registry === '') return text;
  const document = parseDocument(text);
  for (const path of images) document.setIn([...path, 'registry'], registry);
  return document.toString({ lineWidth: 0 });
}

/** The patterns that the charts use: a folder, or the end of a name. */
export function ignoredBy(text: string): (path: string) => boolean {
  const patterns = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const pattern of patterns)
    if (!/^(\*\.[a-z]+|[\w.-]+\/?)$/.test(pattern)) throw new Error(`.helmignore: ${pattern} is not supported here`);
  return (path) =>
    patterns.some((pattern) => {
      const name = pattern.replace(/\/$/, '');
      return name.startsWith('*') ? path.endsWith(name.slice(1)) : path === name || path.startsWith(`${name}/`);
    });
}
