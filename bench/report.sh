#!/usr/bin/env bash
# Makes report.json and report.md in OUT_DIR from what bench.sh measured into RESULTS_DIR.
# A figure that was not measured is not told.
#
#   bench/report.sh RESULTS_DIR OUT_DIR
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
results=${1:?usage: report.sh RESULTS_DIR OUT_DIR}
out=${2:?usage: report.sh RESULTS_DIR OUT_DIR}

# optional NAME: a result, or null.
optional() { if [[ -s $results/$1.json ]]; then cat "$results/$1.json"; else echo null; fi; }

batches() {
  find "$results" -name 'p3-*.json' | sort | xargs --no-run-if-empty cat | jq -s .
}

jq -n --slurpfile machine "$results/machine.json" --slurpfile parts "$results/parts.json" \
  --slurpfile first "$results/first.json" --slurpfile second "$results/second.json" \
  --slurpfile verify "$results/verify.json" --argjson postgres "$(optional postgres)" \
  --argjson daemon "$(optional daemon)" \
  --argjson link "$(optional link)" --argjson regenerate "$(optional regenerate)" \
  --argjson p3 "$(batches)" -f "$here/report.jq" > "$out/report.json"
jq -r -f "$here/report_md.jq" "$out/report.json" > "$out/report.md"
