/** The fenced blocks of a page of the documentation, so that tests run what the page says. */
import { readFileSync } from 'node:fs';

/** The only block in this language under a heading that starts with `heading`. */
export function fencedBlock(page: string, heading: string, language: string): string {
  const text = readFileSync(page, 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(heading));
  if (section === undefined) throw new Error(`${page} has no heading ${heading}`);
  const blocks = [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(([, name]) => name === language);
  if (blocks.length !== 1) throw new Error(`${page}, ${heading}: ${blocks.length} blocks of ${language}, expected 1`);
  return blocks[0]?.[2] ?? '';
}
