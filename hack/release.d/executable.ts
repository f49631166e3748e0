/** The bundle inside a copy of Node.js: one executable, as `node --build-sea` writes it. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** It copies 150 MB: seconds, or a minute on a busy machine. */
const TIMEOUT_MS = 300_000;

export interface ExecutableOptions {
  readonly code: string;
  /** The Node.js of the target platform, of the version that runs this; undefined = the one that runs this. */
  readonly node?: string | undefined;
  readonly output: string;
}

export async function buildExecutable({ code, node, output }: ExecutableOptions): Promise<void> {
  await mkdir(join(output, '..'), { recursive: true });
  const folder = await mkdtemp(join(tmpdir(), 'orca-release-'));
  try {
    // Relative to the folder: the executable contains the path, and must be the same in each run.
    const [main, config] = ['kubectl-orca.mjs', 'sea.json'];
    await writeFile(join(folder, main), code);
    await writeFile(join(folder, config), JSON.stringify(configOf(main, resolve(output), node)));
    await promisify(execFile)(process.execPath, ['--build-sea', config], { cwd: folder, timeout: TIMEOUT_MS });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function configOf(main: string, output: string, node: string | undefined) {
  return {
    main,
    mainFormat: 'module',
    output,
    ...(node !== undefined && { executable: resolve(node) }),
    disableExperimentalSEAWarning: true,
    // Code cache and snapshots fit one platform only, and parsing takes a fifth of a second.
    useCodeCache: false,
    useSnapshot: false,
    // NODE_OPTIONS of a developer's shell are not meant for this program.
    execArgvExtension: 'none',
  };
}
