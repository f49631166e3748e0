/** Writes all generated files. With `--check` it writes nothing and fails if one of them is stale. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ORCA_CACHE } from '#crds/orca-cache.ts';
import { ORCA_PREWARM } from '#crds/orca-prewarm.ts';
import { clusterReadme, operatorReadme } from '#hack/gen/chart-readme.ts';
import { cliPage } from '#hack/gen/cli-page.ts';
import { clusterValuesSchema } from '#hack/gen/cluster-values.ts';
import { chartCrd, crdYaml } from '#hack/gen/crd.ts';
import { dashboardJson } from '#hack/gen/dashboard.ts';
import { configurationPage } from '#hack/gen/configuration-page.ts';
import { performancePages } from '#hack/gen/performance-pages.ts';
import { prewarmPage } from '#hack/gen/prewarm-page.ts';

const ROOT = join(import.meta.dirname, '..');

/** Path from the root → generator of its content. */
const GENERATED: Readonly<Record<string, () => string>> = {
  'crds/generated/orcacache.dev_orcacaches.yaml': () => crdYaml(ORCA_CACHE),
  'crds/generated/orcacache.dev_orcaprewarms.yaml': () => crdYaml(ORCA_PREWARM),
  'charts/orcacache/templates/crd.yaml': () => chartCrd(ORCA_CACHE),
  'charts/orcacache/templates/crd-prewarm.yaml': () => chartCrd(ORCA_PREWARM),
  'charts/orcacache/README.md': operatorReadme,
  'charts/orcacache-cluster/README.md': clusterReadme,
  'charts/orcacache-cluster/values.schema.json': clusterValuesSchema,
  'charts/orcacache/files/dashboard.json': dashboardJson,
  'docs/reference/cli.md': cliPage,
  'docs/reference/configuration.md': configurationPage,
  'docs/reference/prewarm.md': prewarmPage,
  ...performancePages((path) => readFileSync(join(ROOT, path), 'utf8')),
};

const isCheck = process.argv.includes('--check');
const stale = Object.entries(GENERATED).filter(([path, make]) => current(path) !== make());
for (const [path, make] of stale) {
  if (isCheck) {
    console.error(`${path} is stale: run npm run gen`);
  } else {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), make());
    console.log(`wrote ${path}`);
  }
}
if (isCheck && stale.length > 0) process.exitCode = 1;

function current(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
