#!/bin/sh
# production-deps.sh cache|operator: installs the node_modules of one program from the package files in the current
# folder. It runs in a Dockerfile too, hence plain sh.
set -eu

# Dependencies of the other program only; the container tests prove that this program runs without them.
case $1 in
  cache) unneeded='@kubernetes/client-node croner' ;;
  operator) unneeded='@aws-sdk/client-s3 @node-rs/crc32 @azure/identity @opentelemetry/exporter-trace-otlp-http @opentelemetry/resources @opentelemetry/sdk-trace hono @hono/node-server' ;;
  *) echo "production-deps.sh: unknown program '$1', expected cache or operator" >&2 && exit 2 ;;
esac

npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
# shellcheck disable=SC2086 # several names
npm uninstall --offline --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error $unneeded
# No program reads these at run time; they are a third of the size.
find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
