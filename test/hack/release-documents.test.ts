/** SBOM, provenance and signatures of a release. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { installedPackages, npmPurl } from '#hack/release.d/installed.ts';
import { PAYLOAD_TYPE, provenanceOf } from '#hack/release.d/provenance.ts';
import { debianPurl, sbomOf } from '#hack/release.d/sbom.ts';
import { envelopeOf, signedBytes, signingKeyOf, verifies } from '#hack/release.d/signature.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const LIBC = { name: 'libc6', version: '2.36-9+deb12u14', sha256: 'c'.repeat(64), control: 'Architecture: arm64\n' };
const CERTIFICATES = {
  name: 'ca-certificates',
  version: '1~2',
  sha256: 'd'.repeat(64),
  control: 'Architecture: all\n',
};
const BASE = {
  architecture: 'arm64',
  layer: { sha256: '', plainSha256: '', sizeBytes: 0 },
  system: { id: 'debian', version: '12', name: 'Debian GNU/Linux 12 (bookworm)' },
  packages: [LIBC, CERTIFICATES],
  nodeSha256: 'e'.repeat(64),
};
const LOCK = JSON.stringify({
  packages: {
    'node_modules/@scope/a': {
      version: '1.0.0',
      license: 'MIT',
      integrity: `sha512-${Buffer.alloc(64, 1).toString('base64')}`,
      dependencies: { b: '^1.0.0' },
      optionalDependencies: { 'b-darwin': '1.0.0' },
    },
    'node_modules/@scope/a/node_modules/b': { version: '1.5.0', license: '(MIT OR Apache-2.0)' },
    'node_modules/b': { version: '2.0.0', license: 'MIT', peerDependencies: { '@scope/a': '*' } },
    'node_modules/b-darwin': { version: '1.0.0' },
  },
});

const packages = installedPackages(LOCK, (path) => !path.includes('darwin'));

describe('the packages of an image', () => {
  test('are those that are installed, with license and hash', () => {
    expect(packages.map(({ purl, license }) => [purl, license])).toEqual([
      ['pkg:npm/%40scope/a@1.0.0', 'MIT'],
      ['pkg:npm/b@1.5.0', '(MIT OR Apache-2.0)'],
      ['pkg:npm/b@2.0.0', 'MIT'],
    ]);
    expect(packages[0]?.sha512).toBe('01'.repeat(64));
  });

  test('depend on what Node.js would load', () => {
    expect(packages.map(({ purl, dependsOn }) => [purl, dependsOn])).toEqual([
      ['pkg:npm/%40scope/a@1.0.0', ['pkg:npm/b@1.5.0']],
      ['pkg:npm/b@1.5.0', []],
      ['pkg:npm/b@2.0.0', ['pkg:npm/%40scope/a@1.0.0']],
    ]);
  });

  test('have package URLs that escape what the format reserves', () => {
    expect(npmPurl('@a/b', '1.0.0+x')).toBe('pkg:npm/%40a/b@1.0.0%2Bx');
    expect(debianPurl(BASE, LIBC)).toBe('pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=arm64&distro=debian-12');
    expect(debianPurl(BASE, CERTIFICATES)).toContain('?arch=all&');
  });
});

interface Bom {
  readonly serialNumber: string;
  readonly metadata: { readonly component: { readonly 'bom-ref': string; readonly purl: string } };
  readonly components: readonly { readonly type: string; readonly name: string; readonly 'bom-ref': string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

function bom(digest = DIGEST): Bom {
  const repository = 'registry.example.com/orcacache/cache';
  const created = '2026-01-02T03:04:05.000Z';
  const options = { image: 'cache', version: '1.2.3', repository, digest, created, base: BASE, nodeVersion: '26.10.0' };
  return sbomOf({ ...options, packages }) as Bom;
}

describe('the SBOM', () => {
  test('lists the system, Node.js, Debian packages and npm packages', () => {
    expect(bom()).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    expect(bom().components.map(({ type, name }) => `${type} ${name}`)).toEqual([
      'operating-system debian',
      'application node',
      'library libc6',
      'library ca-certificates',
      'library a',
      'library b',
      'library b',
    ]);
  });

  test('each reference is unique, and each dependency refers to one', () => {
    const { components, dependencies, metadata } = bom();
    const refs = [metadata.component['bom-ref'], ...components.map((component) => component['bom-ref'])];
    expect(new Set(refs).size).toBe(refs.length);
    for (const { ref, dependsOn } of dependencies) expect(refs).toEqual(expect.arrayContaining([ref, ...dependsOn]));
    expect(dependencies[0]?.dependsOn.toSorted()).toEqual(refs.slice(1).toSorted());
  });

  test('names its image by digest and platform', () => {
    expect(bom().metadata.component.purl).toBe(
      `pkg:oci/cache@${encodeURIComponent(DIGEST)}?arch=arm64&repository_url=registry.example.com%2Forcacache%2Fcache`,
    );
  });

  test('has the same serial number for the same image, another one for another', () => {
    expect(bom().serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(bom().serialNumber).toBe(bom().serialNumber);
    expect(bom('sha256:00').serialNumber).not.toBe(bom().serialNumber);
  });
});

const PROVENANCE = {
  version: '1.2.3',
  registry: '',
  platforms: ['linux/amd64'],
  revision: 'f'.repeat(40),
  builder: 'tag:orcacache.dev,2026:builder/local',
  subjects: [{ name: 'install.yaml', sha256: 'a'.repeat(64) }],
  dependencies: [{ uri: 'pkg:npm/b@2.0.0', digest: { sha512: '01' } }],
};

test('the provenance is an in-toto statement with sources, dependencies, files and builder', () => {
  expect(provenanceOf(PROVENANCE)).toEqual({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'install.yaml', digest: { sha256: 'a'.repeat(64) } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: expect.stringMatching(/^tag:/),
        externalParameters: { version: '1.2.3', registry: '', platforms: ['linux/amd64'] },
        resolvedDependencies: [
          expect.objectContaining({ name: 'source', digest: { gitCommit: 'f'.repeat(40) } }),
          { uri: 'pkg:npm/b@2.0.0', digest: { sha512: '01' } },
        ],
      },
      runDetails: { builder: { id: PROVENANCE.builder } },
    },
  });
});

const pem = (type: 'ed25519' | 'P-256' | 'P-384' | 'rsa'): string => {
  const options = {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  } as const;
  if (type === 'ed25519') return generateKeyPairSync('ed25519', options).privateKey;
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048, ...options }).privateKey;
  return generateKeyPairSync('ec', { namedCurve: type, ...options }).privateKey;
};

describe.for(['ed25519', 'P-256'] as const)('a signature with %s', (type) => {
  const key = signingKeyOf(pem(type), 'key.pem');
  const text = Buffer.from('abc  install.yaml\n');

  test('verifies, and only for the same bytes', () => {
    const signature = key.sign(text);
    expect(verifies(text, signature, key.publicKey)).toBe(true);
    expect(verifies(Buffer.from('abd  install.yaml\n'), signature, key.publicKey)).toBe(false);
    expect(verifies(text, signature, signingKeyOf(pem(type), 'other').publicKey)).toBe(false);
  });

  test('is verified by openssl', () => {
    const folder = mkdtempSync(join(tmpdir(), 'orca-signature-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'SHA256SUMS'), text);
    writeFileSync(join(folder, 'SHA256SUMS.sig'), key.sign(text));
    writeFileSync(join(folder, 'release.pub'), key.publicKey);
    const command =
      type === 'ed25519'
        ? 'pkeyutl -verify -pubin -inkey release.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig'
        : 'dgst -sha256 -verify release.pub -signature SHA256SUMS.sig SHA256SUMS';
    expect(execFileSync('openssl', command.split(' '), { cwd: folder, encoding: 'utf8' })).toMatch(/Verified|Success/);
  });

  test('in an envelope covers type and payload', () => {
    const { payload, payloadType, signatures } = envelopeOf(PAYLOAD_TYPE, text, key);
    const signed = signedBytes(payloadType, Buffer.from(payload, 'base64'));
    expect(verifies(signed, Buffer.from(signatures[0]!.sig, 'base64'), key.publicKey)).toBe(true);
    expect(signed.toString()).toBe(`DSSEv1 28 ${PAYLOAD_TYPE} ${text.length} ${text.toString()}`);
  });
});

test.for(['P-384', 'rsa'] as const)('a key of another type is refused: %s', (type) => {
  expect(() => signingKeyOf(pem(type), 'key.pem')).toThrow('Ed25519 or ECDSA P-256 is required');
});

test('what is no key is refused, and not repeated', () => {
  expect(() => signingKeyOf('-----BEGIN PRIVATE KEY-----\nsecret\n', 'key.pem')).toThrow(
    /^--sign-key key\.pem is not an unencrypted private key in PEM format$/,
  );
});
