#!/usr/bin/env bash
# Runs a command, and once more after two minutes if it has failed for a reason that passes: the deployment site answers
# 503 now and then (functions-action #390), servers are busy, and a role that was just assigned counts only after minutes.
set -uo pipefail

said="$(mktemp)"
trap 'rm -f "$said"' EXIT

"$@" 2>&1 | tee "$said" && exit
passing='\b(429|502|503|504)\b|ServerBusy|ServerIsBusy|server is busy|TooManyRequests|AuthorizationPermissionMismatch|AuthorizationFailed|ETIMEDOUT|ECONNRESET'
grep -qE "$passing" "$said" || exit 1
echo "That passes. Once more in ${AGAIN_SECONDS:-120} s..." >&2
sleep "${AGAIN_SECONDS:-120}"
"$@"
