import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const SCRIPT = readFileSync(join(ROOT, 'hack/lib/production-deps.sh'), 'utf8');
const { imports, dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  imports: Record<string, string>;
  dependencies: Record<string, string>;
};

/** The packages that a program loads, found by following its imports without type imports. */
function packagesOf(file: string, seen = new Set<string>(), found = new Set<string>()): Set<string> {
  if (seen.has(file)) return found;
  seen.add(file);
  const source = readFileSync(file, 'utf8');
  for (const [, clause = '', specifier = ''] of source.matchAll(
    /^(?:import|export)\b([^'";]*?)(?:from\s*)?'([^']+)'/gm,
  ))
    if (!/^\s+type\s/.test(clause)) visit(specifier);
  for (const [, specifier = ''] of source.matchAll(/\bimport\('([^']+)'\)/g)) visit(specifier);
  return found;

  function visit(specifier: string): void {
    const path = specifier.startsWith('.') ? join(dirname(file), specifier) : aliased(specifier);
    if (path === undefined) found.add(/^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier);
    else if (path.endsWith('.ts')) packagesOf(path, seen, found);
  }
}

function aliased(specifier: string): string | undefined {
  for (const [alias, target] of Object.entries(imports)) {
    const prefix = alias.replace('*', '');
    if (specifier === alias || (alias.endsWith('*') && specifier.startsWith(prefix)))
      return join(ROOT, target.replace('*', specifier.slice(prefix.length)));
  }
  return undefined;
}

/** The packages that the script removes from the image of a program. */
function unneededBy(program: string): string[] {
  const [, names = ''] = new RegExp(`^ +${program}\\) unneeded='([^']*)'`, 'm').exec(SCRIPT) ?? [];
  return names.split(' ').filter((name) => name !== '');
}

describe.for(['cache', 'operator'])('image of the %s', (program) => {
  const loaded = packagesOf(join(ROOT, program, 'main.ts'));

  test('contains every package that the program loads', () => {
    expect([...loaded]).toEqual(expect.arrayContaining(['pino', 'prom-client']));
    expect([...loaded].filter((name) => unneededBy(program).includes(name))).toEqual([]);
  });

  test('omits at least one package, and only dependencies of package.json', () => {
    expect(unneededBy(program)).not.toEqual([]);
    expect(Object.keys(dependencies)).toEqual(expect.arrayContaining(unneededBy(program)));
  });
});
