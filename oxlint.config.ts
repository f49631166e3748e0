/**
 * The linter's rules. `LAYERS` is the map of the code: each folder's row lists the only places that it may import from,
 * besides itself. docs/concepts/architecture.md draws the same map.
 */
import { defineConfig, type OxlintOverride } from 'oxlint';

const CORE = '#cache/core/**';
const SHARED = '#shared/*';
const PORTS = '#cache/engine/ports.ts';
const NODE = ['node:*', 'node:*/**'];
const HASHES = ['node:crypto', 'node:zlib'];
/** What every room of the engine may import. */
const ENGINE = [CORE, SHARED, PORTS, ...HASHES];
const room = (name: string): string => `#cache/engine/${name}/**`;
/** What every driver may import: the port it implements, the wire clients, the schema of its kind. */
const DRIVER = [CORE, SHARED, PORTS, '#cache/wire/**', '#crds/**', ...NODE];
const SERVER = [CORE, SHARED, '#cache/engine/**', '#cache/http/respond.ts', '#cache/http/listener/**', ...NODE];

const WARM_ROOMS = ['memory', 'upstream', 'fill', 'metadata', 'capacity'];

interface Layer {
  readonly files: string[];
  readonly mayImport: readonly string[];
}

const LAYERS: readonly Layer[] = [
  { files: ['crds/**'], mayImport: ['#crds/**', 'ajv', 'yaml', 'node:crypto'] },
  { files: ['shared/*.ts'], mayImport: ['pino', ...NODE] },
  { files: ['shared/kube/**'], mayImport: [SHARED, '@kubernetes/client-node', ...NODE] },

  // The cache. Pure code first, then the engine's rooms from the bottom up, then drivers and servers.
  { files: ['cache/core/*.ts'], mayImport: ['node:crypto'] },
  // Loads a native library for a pure function.
  { files: ['cache/core/crc32.ts'], mayImport: ['node:module', 'node:zlib'] },
  { files: ['cache/core/s3/**', 'cache/core/peer/**'], mayImport: ['#cache/core/*', 'node:crypto'] },
  // Figures and formats of a bounded cachestore; stored ones have a CRC.
  { files: ['cache/core/capacity/**'], mayImport: ['#cache/core/*', ...HASHES] },
  {
    files: ['cache/config/**'],
    // Each driver resolves its own section of the config file.
    mayImport: [CORE, SHARED, '#crds/**', '#cache/origins/registry.ts', '#cache/stores/registry.ts', 'yaml', ...NODE],
  },
  { files: ['cache/engine/memory/**'], mayImport: [CORE, PORTS] },
  { files: ['cache/engine/upstream/**'], mayImport: ENGINE },
  { files: ['cache/engine/buckets/**'], mayImport: [...ENGINE, room('upstream')] },
  { files: ['cache/engine/streams/**'], mayImport: [...ENGINE, room('memory'), room('upstream')] },
  { files: ['cache/engine/metadata/**'], mayImport: [...ENGINE, room('upstream')] },
  { files: ['cache/engine/fill/**'], mayImport: [...ENGINE, ...['memory', 'upstream', 'streams'].map(room)] },
  { files: ['cache/engine/sparse/**'], mayImport: [...ENGINE, ...['memory', 'upstream', 'streams', 'fill'].map(room)] },
  {
    files: ['cache/engine/fetch/**'],
    mayImport: [...ENGINE, ...['memory', 'upstream', 'streams', 'fill', 'sparse'].map(room)],
  },
  { files: ['cache/engine/capacity/**'], mayImport: [...ENGINE, room('upstream')] },
  { files: ['cache/engine/warm/**'], mayImport: [...ENGINE, '#cache/engine/*.ts', ...WARM_ROOMS.map(room)] },
  { files: ['cache/engine/*.ts'], mayImport: [CORE, SHARED, '#cache/engine/**'] },
  { files: ['cache/wire/http1/**'], mayImport: [CORE, SHARED, PORTS, ...NODE] },
  {
    files: ['cache/wire/*.ts', 'cache/wire/s3/**', 'cache/wire/azure/**'],
    mayImport: [CORE, SHARED, PORTS, '#cache/wire/**', '#crds/**', '@aws-sdk/client-s3', '@azure/identity', ...NODE],
  },
  { files: ['cache/origins/**'], mayImport: [...DRIVER, '#cache/origins/**', '@aws-sdk/client-s3'] },
  { files: ['cache/stores/**'], mayImport: [...DRIVER, '#cache/stores/**'] },
  { files: ['cache/peers/**'], mayImport: [CORE, SHARED, '#shared/kube/**', PORTS, '#cache/wire/http1/**', ...NODE] },
  // Walks the objects that resources of the Kubernetes API name, through the engine.
  {
    files: ['cache/prewarm/**'],
    mayImport: [CORE, SHARED, '#shared/kube/**', '#cache/engine/**', '#cache/prewarm/**', '#crds/**'],
  },
  { files: ['cache/http/listener/**'], mayImport: [CORE, SHARED, '#cache/engine/**', ...NODE] },
  { files: ['cache/http/edge/**'], mayImport: [...SERVER, '#cache/config/*'] },
  { files: ['cache/http/peer/**'], mayImport: SERVER },
  {
    files: ['cache/http/ops/**'],
    mayImport: [...SERVER, '#cache/http/activity.ts', 'hono', 'hono/**', '@hono/node-server', 'prom-client'],
  },
  {
    files: ['cache/http/*.ts'],
    mayImport: [CORE, SHARED, '#cache/engine/**', '#cache/http/**', 'prom-client', ...NODE],
  },
  // The parent process of several workers, without the engine, and the channel between the two.
  {
    files: ['cache/workers/**'],
    mayImport: [
      CORE,
      SHARED,
      '#cache/config/*',
      '#cache/http/*',
      '#cache/http/listener/**',
      '#cache/http/ops/**',
      '#package',
      'hono',
      '@hono/node-server',
      'prom-client',
      ...NODE,
    ],
  },
  {
    files: ['cache/telemetry/**'],
    mayImport: [SHARED, PORTS, '@opentelemetry/*'],
  },
  // A program of its own, which reaches pods only by HTTP. It shares the parsing of names, and no part of the engine.
  {
    files: ['cache/cli/**'],
    mayImport: ['#cache/cli/**', CORE, SHARED, '#shared/kube/**', '#crds/**', '#package', 'yaml', ...NODE],
  },
  { files: ['cache/*.ts'], mayImport: ['#cache/**', '#shared/**', '#crds/**', '#package', ...NODE] },

  // The operator. Builders and conditions are pure: they see no effect, not even a hash beside node:crypto.
  { files: ['operator/api/**'], mayImport: ['#crds/**', '#shared/kube/types.ts', '@kubernetes/client-node'] },
  { files: ['operator/resources/**'], mayImport: ['#crds/**', '#operator/api/**', 'yaml', 'node:crypto'] },
  { files: ['operator/status/**'], mayImport: ['#crds/**', '#operator/api/**', '#operator/resources/**'] },
  {
    files: ['operator/reconcile/**'],
    mayImport: [
      '#crds/**',
      '#shared/**',
      ...['api', 'resources', 'status'].map((name) => `#operator/${name}/**`),
      'yaml',
      ...NODE,
    ],
  },
  // A second thing that is reconciled, with the means of the first.
  {
    files: ['operator/prewarm/**'],
    mayImport: [
      '#crds/**',
      '#shared/**',
      ...['api', 'resources', 'status', 'reconcile'].map((name) => `#operator/${name}/**`),
      'croner',
      'node:util',
    ],
  },
  {
    files: ['operator/gates/**'],
    mayImport: [
      '#crds/**',
      '#shared/**',
      ...['api', 'status', 'reconcile', 'prewarm'].map((name) => `#operator/${name}/**`),
    ],
  },
  {
    files: ['operator/control/**'],
    // Only the interface of the reconciler.
    mayImport: [
      '#crds/**',
      '#shared/**',
      '#operator/api/**',
      ...['api', 'outcome', 'reconcile'].map((name) => `#operator/reconcile/${name}.ts`),
      ...NODE,
    ],
  },
  {
    files: ['operator/http/**'],
    mayImport: ['#crds/**', '#shared/**', '#operator/api/**', '#operator/control/**', 'prom-client', ...NODE],
  },
  { files: ['operator/*.ts'], mayImport: ['#operator/**', '#shared/**', '#crds/**', '#package', ...NODE] },
];

function layerRule({ files, mayImport }: Layer): OxlintOverride {
  const message = `${files.join(', ')} may import only itself and ${mayImport.join(', ')} (oxlint.config.ts)`;
  const group = ['*', '*/**', '../**', '!./**', ...mayImport.map((place) => `!${place}`)];
  return { files, rules: { 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] } };
}

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'node', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true, typeCheck: true },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/return-await': ['error', 'in-try-catch'],
    'typescript/consistent-type-imports': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
    'preserve-caught-error': 'error',
    // Types count too: a circle of types is read as a circle.
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'import/no-default-export': 'error',
    'import/extensions': ['error', { js: 'never', ts: 'always' }],
    // ./ inside a folder, #… across folders.
    'import/no-relative-parent-imports': 'error',
    'max-lines': ['warn', { max: 250, skipBlankLines: true, skipComments: true }],
    'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
    'no-underscore-dangle': 'off',
    'no-await-in-loop': 'off',
    'promise/always-return': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'no-shadow': 'off',
    'typescript/consistent-return': 'off',
    'no-unmodified-loop-condition': 'off',
    'vitest/require-mock-type-parameters': 'off',
    'vitest/no-conditional-expect': 'off',
    'vitest/expect-expect': 'off',
  },
  overrides: [
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
    { files: ['hack/**'], rules: { 'max-lines': 'off' } },
    {
      files: ['test/**'],
      rules: {
        'max-lines': 'off',
        // A describe block is one function.
        'max-lines-per-function': 'off',
        'import/no-cycle': ['error', { ignoreTypes: true }],
      },
    },
    ...LAYERS.map(layerRule),
  ],
});
