/** What `base-layer.ts` writes beside a layer, and the images, their SBOMs and the provenance read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Compressed } from './write.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** SHA-256 of the package, which apt compared with the signed list. */
  readonly sha256: string;
  /** Its entry in a package list. */
  readonly control: string;
}

export interface BaseDescription {
  /** As Debian and OCI name it: amd64, arm64. */
  readonly architecture: string;
  readonly layer: Compressed;
  /** From /etc/os-release. */
  readonly system: { readonly id: string; readonly version: string; readonly name: string };
  readonly packages: readonly DebianPackage[];
  readonly nodeSha256: string;
}

export interface Base extends BaseDescription {
  /** The folder that contains the layer. */
  readonly folder: string;
}

export function readBase(folder: string): Base {
  return { folder, ...(JSON.parse(readFileSync(join(folder, 'base.json'), 'utf8')) as BaseDescription) };
}
