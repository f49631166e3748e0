import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Node's own loader and type stripping, so that what fails in a pod fails here too.
    experimental: { viteModuleRunner: false },
    // A busy machine is slow, not wrong: what a test waits for is waited for long, and noticed soon.
    expect: { poll: { timeout: 8000, interval: 5 } },
    // Real servers run beside the tests; more workers would starve them on a small machine.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/{cache,operator,crds,shared,charts,hack,fuzz}/**/*.test.ts'],
          // Each worker loads the sources once, not once per file: that halves the CPU time. No module keeps state.
          isolate: false,
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'charts',
          include: ['test/{helm,gitops}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          // Each file keeps both cores busy with processes or threads of its own.
          fileParallelism: false,
          maxConcurrency: 2,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'clients',
          include: ['test/clients/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'api',
          include: ['test/api/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // Each file starts an API server of its own.
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'proofs',
          include: ['test/proofs/*.test.ts'],
          testTimeout: 480_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'containers',
          include: ['test/containers/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'cluster',
          include: ['test/cluster/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'chaos',
          include: ['test/cluster/chaos/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
