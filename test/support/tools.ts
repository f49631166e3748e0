/** Programs that hack/tools installs: named by the environment, on PATH, or in the tools' cache. */
import { accessSync, constants, globSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The path of a program, or undefined; `variable` is an environment variable that may name it. */
export function findTool(name: string, variable: string): string | undefined {
  const cache = process.env['ORCACACHE_CACHE_DIR'] ?? join(homedir(), '.cache', 'orcacache');
  const candidates = [
    process.env[variable] ?? '',
    ...(process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, name)),
    ...globSync(join(cache, 'items', '*', '*', 'bin', name)),
  ];
  return candidates.find((path) => path !== '' && isExecutable(path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
