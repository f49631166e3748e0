/** The npm packages of an image, from the lock file that npm leaves in node_modules. */

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface InstalledPackage {
  /** `@scope/name` or `name`. */
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly license: string | undefined;
  /** SHA-512 of the archive that npm compared; hexadecimal. */
  readonly sha512: string | undefined;
  /** Package URLs. */
  readonly dependsOn: readonly string[];
}

/**
 * `lock`: node_modules/.package-lock.json. `isInstalled`: whether there is a folder of that path; a library of another
 * platform has none.
 */
export function installedPackages(lock: string, isInstalled: (path: string) => boolean): InstalledPackage[] {
  const { packages } = JSON.parse(lock) as { readonly packages: Readonly<Record<string, LockedPackage>> };
  const found = new Map(Object.entries(packages).filter(([path]) => isInstalled(path)));
  const unique = new Map<string, InstalledPackage>();
  for (const [path, entry] of found) {
    const purl = npmPurl(nameOf(path), entry.version);
    const wanted = Object.keys({ ...entry.dependencies, ...entry.optionalDependencies, ...entry.peerDependencies });
    const dependsOn = wanted.flatMap((name) => resolve(found, path, name) ?? []);
    unique.set(purl, {
      name: nameOf(path),
      version: entry.version,
      purl,
      license: entry.license,
      sha512: sha512Of(entry.integrity),
      // The same version in two folders may resolve its dependencies differently.
      dependsOn: [...new Set([...(unique.get(purl)?.dependsOn ?? []), ...dependsOn])].toSorted(),
    });
  }
  return [...unique.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
}

/** As Node.js does it: from the innermost node_modules outwards. */
function resolve(found: ReadonlyMap<string, LockedPackage>, from: string, name: string): string | undefined {
  for (let folder = `${from}/`; folder !== ''; folder = folder.slice(0, folder.lastIndexOf('node_modules/'))) {
    const entry = found.get(`${folder}node_modules/${name}`);
    if (entry !== undefined) return npmPurl(name, entry.version);
  }
  const top = found.get(`node_modules/${name}`);
  return top && npmPurl(name, top.version);
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

export function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${encodeURIComponent(version)}`;
}

function sha512Of(integrity: string | undefined): string | undefined {
  const [, base64] = /^sha512-([A-Za-z0-9+/=]+)/.exec(integrity ?? '') ?? [];
  return base64 && Buffer.from(base64, 'base64').toString('hex');
}
