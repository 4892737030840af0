#!/bin/sh
# Runs a hook of azure.yaml, which is a Node program: sh infra/hooks/hook.sh NAME
set -eu
cd "$(dirname "$0")/../.."

if ! command -v node >/dev/null 2>&1; then
  echo "hook: node was not found: install Node 22 (https://nodejs.org)" >&2
  exit 1
fi
exec node infra/hooks/hook.mjs "$@"
