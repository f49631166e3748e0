/** The shell scripts of the checkout: by their ending, or by their first line. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';

/** Paths below `root`, tracked or new, without ignored ones. */
export function shellScripts(root: string): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)) && isShell(root, path));
}

function isShell(root: string, path: string): boolean {
  if (extname(path) === '.sh') return true;
  return extname(path) === '' && /^#!\/(usr\/bin\/env |bin\/)(ba)?sh\b/.test(firstBytes(join(root, path)));
}

function firstBytes(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(64);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}
