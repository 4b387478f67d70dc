#!/usr/bin/env bash
# Measures linking over a ledger of 20 million residents with 12 agencies each, and prints it as
# JSON. Takes ten minutes and 8 GB of disk; with --site a site that was made before is used again.
#
#   bench/link.sh BUILD_DIR WORK_DIR AGENCIES.csv [--residents N] [--site DIR]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
build=${1:?usage: link.sh BUILD_DIR WORK_DIR AGENCIES.csv [--residents N] [--site DIR]}
work=${2:?WORK_DIR is missing}
agencies=${3:?AGENCIES.csv is missing}
shift 3
residents=20000000 site=
while (($#)); do
  case $1 in
    --residents) residents=$2 && shift ;;
    --site) site=$2 && shift ;;
    *) die "unknown option $1" ;;
  esac
  shift
done
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
# Two agencies of the method that can be inverted, beside those of the default method.
inverse=(X0001 X0002)

# issue: $work/request.csv, its answers thrown away.
issue() {
  "$build/daemon/fugo" --config "$site/fugo.toml" --json issue "$work/request.csv" \
    --out "$work/answers" > "$work/issue.json" || die "fugo issue failed: $(cat "$work/issue.json")"
  rm -rf "${work:?}/answers/"*
}
requests() { # ID OPTIONS...: at agencies of the default method
  "$build/bench/fugo-testdata" requests --agencies "$agencies" --out "$work/request.csv" \
    --id "$1" "${@:2}" 2>/dev/null
}
# move_request CODE: the first quarter of the home requests again, at this agency.
move_request() {
  awk -F, -v OFS=, -v code="$1" -v rows="$((residents / 4))" '
    NR == 1 { print "#fugo-request,version=1,id=" code ",kind=issue,records=" rows; next }
    NR == 2 { print; next }
    NR > rows + 2 { exit }
    { $2 = code; print }' "$work/home.csv" > "$work/request.csv"
}
make_site() {
  local ordinal code
  site=$work/site
  rm -rf "$work"
  mkdir -p "$work/answers"
  cp "$agencies" "$work/agencies.csv"
  for code in "${inverse[@]}"; do
    echo "$code,Inverse Body,xts-aes256" >> "$work/agencies.csv"
  done
  "$build/daemon/fugo" --json init --dir "$site" > /dev/null
  "$build/daemon/fugo" --config "$site/fugo.toml" agency import "$work/agencies.csv" > /dev/null
  say "linking: $residents residents at home"
  requests home --residents "$residents"
  ln "$work/request.csv" "$work/home.csv"
  issue
  rm "$work/request.csv"
  for code in "${inverse[@]}"; do
    move_request "$code"
    issue
  done
  rm "$work/home.csv"
  for ordinal in {1..11}; do
    say "linking: agency $ordinal of 11 more for each"
    requests "more-$ordinal" --residents 1 --first "$((residents + ordinal))" \
      --known-requests "$((residents - 1))" --known "$residents" --known-ordinal "$ordinal"
    issue
  done
  rm -f "$work/request.csv"
}

[[ -n $site ]] || make_site
say "linking: tables, batches and single calls"
# A prefecture with millions of people, and one of its wards.
FUGO_CONFIG=$site/fugo.toml "$build/bench/fugo_link_bench" \
  --one-way 130001 131016 --inverse "${inverse[@]}"
