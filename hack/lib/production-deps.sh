#!/bin/sh
# production-deps.sh cache|operator: node_modules of one program, from the
# package files in the current folder. Runs in a Dockerfile as well as outside,
# hence plain sh.
set -eu

# What the other program needs; that this one does without is what the
# container tests show.
case $1 in
  cache) unneeded='@kubernetes/client-node' ;;
  operator) unneeded='@aws-sdk/client-s3 hono @hono/node-server' ;;
  *) echo "production-deps.sh: cache or operator, not '$1'" >&2 && exit 2 ;;
esac

npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
# shellcheck disable=SC2086 # several names
npm uninstall --offline --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error $unneeded
# Nothing that runs reads these; they are a third of the bytes.
find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete
