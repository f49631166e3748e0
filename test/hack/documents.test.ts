import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { PREWARM } from '#crds/names.ts';
import { parseOrcaCache, parseOrcaPrewarm } from '#crds/validate.ts';

const PAGES = globSync('**/*.md', { exclude: (path) => path === 'node_modules' || path.startsWith('.git') }).toSorted();
interface Resource {
  readonly kind?: unknown;
}

const read = (page: string): string => readFileSync(page, 'utf8');

const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** As GitHub derives an anchor from a heading; the second heading of the same text ends in -1. */
function anchors(page: string): string[] {
  const seen = new Map<string, number>();
  return [
    ...read(page)
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/\]\([^)]*\)/g, '')
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const earlier = seen.get(anchor) ?? 0;
    seen.set(anchor, earlier + 1);
    return earlier === 0 ? anchor : `${anchor}-${earlier}`;
  });
}

/** Inline links and images, link definitions, and HTML attributes. */
function links(text: string): string[] {
  const patterns = [
    /\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g,
    /^\s*\[[^\]]+\]:\s+<?(\S+?)>?$/gm,
    /\b(?:href|src)="([^"]+)"/g,
  ];
  return patterns.flatMap((pattern) => [...withoutCode(text).matchAll(pattern)].map(([, target = '']) => target));
}

/** Undefined if the link is external or its target exists. */
function linkProblem(page: string, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [path = '', fragment] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), decodeURIComponent(path)));
  if (!existsSync(target)) return `${link}: ${target} does not exist`;
  if (fragment === undefined) return undefined;
  if (!target.endsWith('.md') || statSync(target).isDirectory()) return `${link}: only a page has headings`;
  return anchors(target).includes(fragment) ? undefined : `${link}: no such heading`;
}

describe('documents', () => {
  test.for(PAGES)('have no broken relative link or anchor: %s', (page) => {
    expect(links(read(page)).flatMap((link) => linkProblem(page, link) ?? [])).toEqual([]);
  });

  test.for(PAGES)('contain only resources that the CRDs accept: %s', (page) => {
    const blocks = [...read(page).matchAll(/apiVersion: orcacache\.dev\/v1alpha1\n[\s\S]*?(?=^```|^YAML$)/gm)];
    const resources = blocks.flatMap(([text]) =>
      parseAllDocuments(text).map((document) => document.toJS() as Resource),
    );
    for (const resource of resources) {
      const result = resource.kind === PREWARM.kind ? parseOrcaPrewarm(resource) : parseOrcaCache(resource);
      expect(result).toMatchObject({ ok: true });
    }
  });

  test.for([
    ['an inline link', '[a](missing.md)'],
    ['a link with a title', '[a](missing.md "Title")'],
    ['an image', '![a](missing.png)'],
    ['a link definition', '[a]: missing.md'],
    ['an HTML link', '<a href="missing.md">a</a>'],
    ['an anchor on the same page', '[a](#no-such-heading)'],
    ['an anchor on another page', '[a](CONTRIBUTING.md#no-such-heading)'],
  ] as const)('are searched for %s', ([, text]) => {
    expect(links(text).map((link) => linkProblem('README.md', link))).toEqual([expect.any(String)]);
  });
});
