/** The command line as one file of JavaScript, which Node.js runs without node_modules. */
import { join } from 'node:path';
import { rolldown, type Plugin, type RolldownOutput } from 'rolldown';

export interface Bundle {
  readonly code: string;
  /** The files that went into it. */
  readonly modules: readonly string[];
}

/** `entry`: the program's first file. `version`: replaces the one of package.json. */
export async function bundle(entry: string, version?: string): Promise<Bundle> {
  await using build = await rolldown({
    input: entry,
    platform: 'node',
    // The program and its libraries read package.json by `#package`.
    tsconfig: false,
    plugins: version === undefined ? [] : [versionPlugin(version)],
    onLog(level, log, report) {
      // A dependency that is missing would be found by a user.
      if (log.code === 'UNRESOLVED_IMPORT') throw new Error(log.message);
      // Libraries whose circles are their own affair.
      if (level === 'warn' && log.code !== 'CIRCULAR_DEPENDENCY' && log.code !== 'EVAL') report(level, log);
    },
  });
  const { output } = await build.generate({
    format: 'esm',
    // One file: a single executable has no others.
    codeSplitting: false,
    // Names in stack traces, and half of the size.
    minify: { compress: true, mangle: false, codegen: true },
  });
  return onlyChunkOf(output);
}

function onlyChunkOf(output: RolldownOutput['output']): Bundle {
  const [chunk, ...others] = output;
  if (others.length > 0) throw new Error(`more than one file: ${others.map(({ fileName }) => fileName).join(', ')}`);
  return { code: chunk.code, modules: chunk.moduleIds };
}

const PACKAGE_FILE = join(import.meta.dirname, '../../package.json');

function versionPlugin(version: string): Plugin {
  return {
    name: 'version',
    transform: (code, id) => (id === PACKAGE_FILE ? withVersion(code, version) : undefined),
  };
}

/** package.json with another version. */
export function withVersion(packageJson: string, version: string): string {
  return `${JSON.stringify({ ...(JSON.parse(packageJson) as object), version }, undefined, 2)}\n`;
}
