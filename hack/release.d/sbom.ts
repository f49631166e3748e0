/** The bill of materials of one image, for one platform, as CycloneDX JSON. */
import { createHash } from 'node:crypto';
import type { BaseDescription } from './base-description.ts';
import type { InstalledPackage } from './installed.ts';

export interface SbomOptions {
  /** `cache` or `operator`. */
  readonly image: string;
  readonly version: string;
  /** With its host, without its tag. */
  readonly repository: string;
  /** The digest of the manifest for this platform. */
  readonly digest: string;
  readonly created: string;
  readonly base: BaseDescription;
  readonly nodeVersion: string;
  readonly packages: readonly InstalledPackage[];
}

export function sbomOf(options: SbomOptions): object {
  const { image, version, digest, created, base, packages, nodeVersion } = options;
  const root = imagePurl(options);
  const system = `${base.system.id}-${base.system.version}`;
  const node = `pkg:generic/node@${nodeVersion}`;
  const debs = base.packages.map(({ name, version, control, sha256 }) => {
    const purl = debianPurl(base, { name, version, control });
    return { type: 'library', 'bom-ref': purl, name, version, purl, hashes: [{ alg: 'SHA-256', content: sha256 }] };
  });
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(digest)}`,
    version: 1,
    metadata: {
      timestamp: created,
      component: {
        type: 'container',
        'bom-ref': root,
        name: `orcacache/${image}`,
        version,
        purl: root,
        hashes: [{ alg: 'SHA-256', content: digest.replace('sha256:', '') }],
      },
    },
    components: [
      {
        type: 'operating-system',
        'bom-ref': system,
        name: base.system.id,
        version: base.system.version,
        description: base.system.name,
      },
      {
        type: 'application',
        'bom-ref': node,
        name: 'node',
        version: nodeVersion,
        purl: node,
        licenses: [{ license: { id: 'MIT' } }],
        hashes: [{ alg: 'SHA-256', content: base.nodeSha256 }],
      },
      ...debs,
      ...packages.map(componentOf),
    ],
    dependencies: [
      // The image contains all packages, direct dependencies and others alike.
      { ref: root, dependsOn: [system, node, ...debs.map(({ purl }) => purl), ...packages.map(({ purl }) => purl)] },
      ...packages
        .filter(({ dependsOn }) => dependsOn.length > 0)
        .map(({ purl, dependsOn }) => ({ ref: purl, dependsOn })),
    ],
  };
}

export function debianPurl(
  { system, architecture }: Pick<BaseDescription, 'system' | 'architecture'>,
  { name, version, control }: { readonly name: string; readonly version: string; readonly control: string },
): string {
  const arch = /^Architecture: all$/m.test(control) ? 'all' : architecture;
  const path = `${encodeURIComponent(name)}@${encodeURIComponent(version)}`;
  return `pkg:deb/${system.id}/${path}?arch=${arch}&distro=${system.id}-${system.version}`;
}

function imagePurl({ image, digest, repository, base }: SbomOptions): string {
  const url = encodeURIComponent(repository);
  return `pkg:oci/${image}@${encodeURIComponent(digest)}?arch=${base.architecture}&repository_url=${url}`;
}

function componentOf({ name, version, purl, license, sha512 }: InstalledPackage): object {
  const [scope, inner] = name.startsWith('@') ? name.split('/') : [undefined, name];
  return {
    type: 'library',
    'bom-ref': purl,
    ...(scope !== undefined && { group: scope }),
    name: inner,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(sha512 !== undefined && { hashes: [{ alg: 'SHA-512', content: sha512 }] }),
  };
}

/** A name-based UUID, so that the same image has the same number. */
function uuidOf(name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
