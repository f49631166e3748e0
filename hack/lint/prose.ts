/**
 * Checks the English of comments, messages, test names and documents against hack/lint/prose.yaml.
 * Usage: node hack/lint/prose.ts [PATH…]   files or folders; default: the whole checkout
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { compileRules, readRules, type Exception, type Finding } from './prose-rules.ts';
import { textBlocks } from './text.ts';

const ROOT = join(import.meta.dirname, '../..');

const CHECKED =
  /\.(ts|mjs|md|ya?ml|tpl|txt|sh|go|py)$|^hack\/[^.]+$|^Dockerfile|\/Dockerfile|^\.ci\/|values\.schema\.json$/;

/** Generated, third-party, or the rules themselves. */
const EXCLUDED =
  /^hack\/lint\/(prose\.yaml|words\.txt)$|^test\/(golden|hack\/prose\.test)|\/testdata\/|^crds\/generated\/|^charts\/orcacache\/templates\/crd\.yaml|^hack\/lib\/pip\//;

const paths = process.argv.slice(2).map((path) => relative(ROOT, join(process.cwd(), path)));
const { rules, allow } = readRules();
const findings = compileRules(rules);
const used = new Set<Exception>();
let count = 0;

for (const path of filesUnder(paths)) {
  for (const finding of textBlocks(path, readFileSync(join(ROOT, path), 'utf8')).flatMap(findings)) {
    const exception = allow.find((entry) => accepts(entry, path, finding));
    if (exception) {
      used.add(exception);
    } else {
      count++;
      console.log(
        `${path}:${finding.line}: [${finding.rule.id}] "${finding.match}" → ${finding.rule.instead}\n    ${finding.context}`,
      );
    }
  }
}
if (paths.length === 0) {
  for (const { path, rule, text } of allow.filter((entry) => !used.has(entry))) {
    count++;
    console.log(`hack/lint/prose.yaml: the exception from ${rule} for "${text}" in ${path} matches nothing: delete it`);
  }
}
if (count > 0) {
  console.log(`${count} findings. hack/lint/prose.yaml contains the rules, and the exceptions under "allow".`);
  process.exitCode = 1;
}

function accepts(entry: Exception, path: string, { rule, context }: Finding): boolean {
  return entry.path === path && entry.rule === rule.id && context.includes(entry.text);
}

/** Tracked and new files, without ignored ones. */
function filesUnder(folders: readonly string[]): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--', ...folders];
  const files = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\0');
  return files.filter((path) => CHECKED.test(path) && !EXCLUDED.test(path) && existsSync(join(ROOT, path)));
}
