#!/usr/bin/env bash
# Measures the regeneration of the linkage key over a site that bench/link.sh made (20 million
# residents with 12 agencies each), and prints it as JSON. The site is copied first and stays as it
# is. Takes some ten minutes and 30 GB of disk.
#
#   bench/regenerate.sh BUILD_DIR WORK_DIR SITE
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
build=${1:?usage: regenerate.sh BUILD_DIR WORK_DIR SITE}
work=${2:?WORK_DIR is missing}
from=${3:?SITE is missing}
rm -rf "$work"
mkdir -p "$work/maps"
trap 'rm -rf "$work"' EXIT
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
disk_bytes() { du -s --block-size=1 "$1" | cut -f1; }

# A site can be moved: its configuration has paths of its own, but for those of the tokens.
site=$work/site
cp -a --reflink=auto "$from" "$site"
sed -i "s#$(realpath "$from")#$(realpath "$site")#g" "$site"/tokens/*/softhsm2.conf
sync

# step NAME ARGUMENTS...: one step of the run, with its time, and its peaks of memory without files
# and of the ledger on disk.
step() {
  local name=$1 start pid anonymous=0 a disk=0 d
  shift
  start=$(now)
  "$build/daemon/fugo" --config "$site/fugo.toml" --json regenerate "$@" > "$work/$name.out" &
  pid=$!
  while a=$(awk '/^RssAnon:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [[ -n $a ]]; do
    ((a > anonymous)) && anonymous=$a
    d=$(disk_bytes "$site/ledger" 2>/dev/null) || true  # files go while it looks
    ((d > disk)) && disk=$d
    sleep 0.2
  done
  wait "$pid" || die "$name failed: $(cat "$work/$name.out")"
  jq -n --argjson seconds "$(elapsed "$start")" --argjson memory "$((anonymous * 1024))" \
    --argjson ledger "$(disk_bytes "$site/ledger")" --argjson disk "$disk" --argjson maps "$(disk_bytes "$work/maps")" \
    --argjson records "$(disk_bytes "$site/records" 2>/dev/null || echo 0)" \
    '{wall_seconds: $seconds, anonymous_bytes_peak: $memory, ledger_bytes: $ledger, ledger_bytes_peak: $disk,
      mapping_bytes: $maps, record_bytes: $records}' > "$work/$name.json"
  say "regeneration: $name in $(jq .wall_seconds "$work/$name.json") s"
}

before=$(disk_bytes "$site/ledger")
step plan plan --what linkage --reason measured
run=$(jq -r .run "$work/plan.out")
touch_memory
step run run "$run" --out "$work/maps"
step commit commit "$run"
people=$(jq .people_made "$work/run.out") symbols=$(jq .symbols_mapped "$work/run.out")
files=$(find "$work/maps/$run" -name '*.csv' | wc -l)
lines=$(find "$work/maps/$run" -name '*.csv' -print0 | xargs -0 cat | wc -l)
((lines == symbols + 2 * files)) || die "$lines lines in $files files for $symbols symbols"
step finish finish "$run" --without-acks
start=$(now)
"$build/daemon/fugo" --config "$site/fugo.toml" --json verify > "$work/verify.out" ||
  die "fugo verify failed: $(cat "$work/verify.out")"
jq -n --argjson before "$before" --argjson people "$people" --argjson symbols "$symbols" \
  --argjson files "$files" --argjson verify "$(elapsed "$start")" \
  --slurpfile plan "$work/plan.json" --slurpfile run "$work/run.json" \
  --slurpfile commit "$work/commit.json" --slurpfile finish "$work/finish.json" \
  '{people: $people, symbols: $symbols, files: $files, ledger_bytes_before: $before,
    plan: $plan[0], run: $run[0], commit: $commit[0], finish: $finish[0],
    verify_seconds: $verify}'
