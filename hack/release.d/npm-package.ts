/** The bundle as a package of npm, whose only file of code is the program. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import packageJson from '#package' with { type: 'json' };

export interface NpmPackageOptions {
  readonly code: string;
  readonly license: string;
  readonly thirdParty: string;
  /** The folder for the archive. */
  readonly folder: string;
  /** Default: that of package.json. */
  readonly version?: string;
}

const readme = (version: string): string => `# kubectl-orca

\`kubectl orca\`: look into OrcaCache caches, find out what is wrong with them, and prewarm what is needed next.

\`\`\`sh
npm install --global kubectl-orca-${version}.tgz
kubectl orca status
\`\`\`

It needs Node.js 26 or newer.
`;

/** Resolves with the path of the archive. */
export async function packNpm(options: NpmPackageOptions): Promise<string> {
  const { code, license, thirdParty, folder, version = packageJson.version } = options;
  const staging = await mkdtemp(join(tmpdir(), 'orca-release-'));
  try {
    const { engines } = packageJson;
    const manifest = {
      name: 'kubectl-orca',
      version,
      description: 'kubectl orca: the command line of OrcaCache, a read-only S3 cache for Kubernetes',
      license: packageJson.license,
      type: 'module',
      bin: { 'kubectl-orca': 'kubectl-orca.mjs' },
      engines,
    };
    await writeFile(join(staging, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await writeFile(join(staging, 'kubectl-orca.mjs'), code, { mode: 0o755 });
    await writeFile(join(staging, 'README.md'), readme(version));
    await writeFile(join(staging, 'LICENSE'), license);
    await writeFile(join(staging, 'THIRD-PARTY-LICENSES.txt'), thirdParty);
    await mkdir(folder, { recursive: true });
    await promisify(execFile)('npm', ['pack', '--silent', '--pack-destination', resolve(folder)], { cwd: staging });
    return join(folder, `kubectl-orca-${version}.tgz`);
  } finally {
    await rm(staging, { recursive: true });
  }
}
