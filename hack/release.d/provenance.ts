/** How the files of a release were made: an in-toto statement with SLSA's provenance. */

export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const BUILD_TYPE = 'tag:orcacache.dev,2026:hack/release/v1';

export interface Subject {
  /** A file's name, or an image's. */
  readonly name: string;
  readonly sha256: string;
}

export interface Dependency {
  /** A package URL, or another URI. */
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
}

export interface ProvenanceOptions {
  readonly version: string;
  readonly registry: string;
  readonly platforms: readonly string[];
  readonly revision: string;
  readonly builder: string;
  readonly subjects: readonly Subject[];
  readonly dependencies: readonly Dependency[];
}

/** Without times and an invocation, so that a second run writes the same bytes. */
export function provenanceOf({ version, registry, platforms, revision, ...more }: ProvenanceOptions): object {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: more.subjects.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { version, registry, platforms },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: revision }, annotations: { revision } },
          ...more.dependencies.map(({ uri, digest }) => ({ uri, digest })),
        ],
      },
      runDetails: { builder: { id: more.builder } },
    },
  };
}
