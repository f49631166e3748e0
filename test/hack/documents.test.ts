import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { accepted } from '#test/crds/sample.ts';

const PAGES = globSync(['*.md', 'docs/**/*.md', 'charts/*/*.md', 'gitops/**/*.md']).toSorted();
const read = (page: string): string => readFileSync(page, 'utf8');

/** As GitHub makes an anchor of a heading. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

function anchors(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchor(heading));
}

function links(page: string): string[] {
  return [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** Undefined where it leads somewhere. */
function mistake(page: string, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [path = '', fragment] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), path));
  if (!existsSync(target)) return `${link}: there is no ${target}`;
  return fragment === undefined || anchors(target).includes(fragment) ? undefined : `${link}: no such heading`;
}

describe('the documents', () => {
  test.for(PAGES)('have links that lead somewhere: %s', (page) => {
    expect(links(page).flatMap((link) => mistake(page, link) ?? [])).toEqual([]);
  });

  test.for(PAGES)('show only caches that the CRD accepts: %s', (page) => {
    const blocks = [...read(page).matchAll(/apiVersion: orcacache\.dev\/v1alpha1\n[\s\S]*?(?=^```|^YAML$)/gm)];
    for (const [text] of blocks) for (const document of parseAllDocuments(text)) accepted(document.toJS());
  });
});
