#!/usr/bin/env bash
# Measures the parts, the whole program and PostgreSQL side by side, and writes a report.
#
#   bench/bench.sh BUILD_DIR [--rows N] [--p3] [--link] [--link-site DIR] [--regenerate] [--no-postgres]
#                            [--no-daemon] [--save]
#
# Results: BUILD_DIR/bench/report.json and report.md; --save copies the latter to
# docs/performance.md. --link adds linking over 20 million residents with 12 agencies each (10 more
# minutes, 8 GB), --link-site the same over a site that bench/link.sh made before, --regenerate the
# regeneration of that site's linkage key as well (10 more minutes, 30 GB). --p3 adds batches into ledgers of 10 and 100 million (10 more minutes, 30 GB
# of disk). Needs a release build of fugo, fugo_bench and fugo-testdata, jq and PostgreSQL 15.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

build=${1:?usage: bench.sh BUILD_DIR [--rows N] [--p3] [--link] [--link-site DIR] [--regenerate] [--no-postgres] [--no-daemon] [--save]}
build=$(cd "$build" && pwd)
shift
rows=10000000 p3=0 postgres=1 daemon=1 save=0 link=0 link_site= regenerate=0
while (($#)); do
  case $1 in
    --rows) rows=$2 && shift ;;
    --p3) p3=1 ;;
    --link) link=1 ;;
    --link-site) link=1 link_site=$2 && shift ;;
    --regenerate) link=1 regenerate=1 ;;
    --no-postgres) postgres=0 ;;
    --no-daemon) daemon=0 ;;
    --save) save=1 ;;
    *) die "unknown option $1" ;;
  esac
  shift
done
fugo_program=$build/daemon/fugo
testdata=$build/bench/fugo-testdata
for program in "$fugo_program" "$build/daemon/fugod" "$testdata" "$build/bench/fugo_bench" \
  "$build/bench/fugo_link_bench"; do
  [[ -x $program ]] || die "$program is not built (FUGO_BENCH=ON, target fugo_benchmarks)"
done
command -v jq >/dev/null || die "jq is not installed"

out=$build/bench/work
rm -rf "$out"
mkdir -p "$out/answers"
results=$build/bench/results
rm -rf "$results"
mkdir -p "$results"
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
fugo() { "$fugo_program" --config "$site/fugo.toml" --json "$@"; }
# new_site DIR: a site with the whole registry, in the variable `site`.
new_site() {
  site=$1
  "$fugo_program" --json init --dir "$site" >/dev/null
  fugo agency import "$out/agencies.csv" >/dev/null
}
requests() { "$testdata" requests --agencies "$out/agencies.csv" --out "$out/request.csv" "$@" 2>/dev/null; }
disk_bytes() { du -s --block-size=1 "$1" | cut -f1; }
watch_memory() { # PID FILE: peaks of resident memory, all and without mapped files, in kB
  local anonymous=0 all=0 a h
  while read -r h a < <(awk '/^VmHWM:/ { h = $2 } /^RssAnon:/ { a = $2 } END { print h, a }' \
    "/proc/$1/status" 2>/dev/null) && [[ -n ${a:-} ]]; do
    ((a > anonymous)) && anonymous=$a
    ((h > all)) && all=$h
    echo "$all $anonymous" > "$2"
    sleep 0.1
  done
}
# issue NAME: issues $out/request.csv, checks that every row is `new`, and writes
# results/NAME.json. Everything counts, from the start of the program to its end.
issue() {
  local name=$1 wanted start seconds before people pid
  wanted=$(head -n 1 "$out/request.csv" | sed 's/.*records=//')
  before=$(disk_bytes "$site/ledger")
  sync
  touch_memory
  start=$(now)
  # Not by the function fugo: the process number must be the program's.
  "$fugo_program" --config "$site/fugo.toml" --json issue "$out/request.csv" \
    --out "$out/answers" > "$out/issue.json" &
  pid=$!
  watch_memory "$pid" "$out/memory" &
  wait "$pid" || die "fugo issue failed: $(cat "$out/issue.json")"
  seconds=$(elapsed "$start")
  wait
  jq --arg name "$name" --argjson wall "$seconds" --argjson wanted "$wanted" \
    --argjson before "$before" --argjson after "$(disk_bytes "$site/ledger")" \
    --argjson memory "[$(tr ' ' ',' < "$out/memory")]" '
    if .new != $wanted then error("\(.new) new instead of \($wanted)") else . end |
    {name: $name, rows, people_new, wall_seconds: $wall, rows_per_second: (.rows / $wall | round),
     ledger_bytes_before: $before, ledger_bytes_after: $after,
     resident_bytes_peak: ($memory[0] * 1024), anonymous_bytes_peak: ($memory[1] * 1024)}' \
    "$out/issue.json" > "$results/$name.json"
  rm -rf "${out:?}/answers/"* "$out/request.csv"
  say "$name: $(jq -r '"\(.rows) rows in \(.wall_seconds) s, \(.rows_per_second)/s"' "$results/$name.json")"
}

machine() {
  jq -n --arg cpu "$(cpu_name)" --argjson cores "$(nproc)" --argjson memory "$(memory_gib)" \
    --arg kernel "$(uname -r)" --arg system "$(. /etc/os-release && echo "$PRETTY_NAME")" \
    --arg files "$(stat -f -c %T "$build")" --arg load "$(cut -d' ' -f1 /proc/loadavg)" \
    --arg softhsm "$(dpkg-query -W -f '${Version}' libsofthsm2 2>/dev/null || echo unknown)" \
    --arg commit "$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)" \
    --arg date "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    '{date: $date, commit: $commit, cpu: $cpu, cores: $cores, memory_gib: $memory, kernel: $kernel,
      system: $system, file_system: $files, load_at_start: $load, softhsm: $softhsm}'
}

compare_with_postgres() {
  local per_second pg_rows=$rows million=1000000
  if ((rows > million)); then
    say "PostgreSQL: trial of one million rows"
    per_second=$("$here/postgres.sh" --registry "$out/agencies.csv" --request "$out/kept.csv" \
      --rows "$million" --work "$out" | jq .residents_per_second)
    # All rows unless that takes more than six minutes; then as many millions as five allow.
    if ((rows / per_second > 360)); then
      pg_rows=$((per_second * 300 / million * million))
      ((pg_rows >= million)) || pg_rows=$million
    fi
  fi
  say "PostgreSQL: $pg_rows rows"
  "$here/postgres.sh" --registry "$out/agencies.csv" --request "$out/kept.csv" \
    --rows "$pg_rows" --work "$out" > "$results/postgres.json"
  say "PostgreSQL: $(jq -r '"\(.rows) rows in \(.seconds) s, \(.residents_per_second)/s"' "$results/postgres.json")"
}

# batches SIZE: five batches of one million requests, one in ten a new resident, at a second
# agency of known people. The first warms the cache and is not counted.
batches() {
  local people=$1 i
  for i in 0 1 2 3 4; do
    requests --residents 100000 --first "$((people + i * 100000))" --known-requests 900000 \
      --known "$people" --known-ordinal "$((2 + i))" --id "batch-$people-$i"
    issue "p3-$people-$i"
  done
}

machine > "$results/machine.json"
"$testdata" agencies --national-bodies 20 --out "$out/agencies.csv" 2>/dev/null
new_site "$out/site"

say "parts"
FUGO_CONFIG=$site/fugo.toml "$build/bench/fugo_bench" --benchmark_repetitions=5 \
  --benchmark_min_time=0.3 --benchmark_report_aggregates_only=true \
  --benchmark_out="$results/parts.json" --benchmark_out_format=json >&2

say "whole program: $rows residents into an empty ledger"
requests --residents "$rows" --id first
# PostgreSQL gets the same file.
ln "$out/request.csv" "$out/kept.csv"
issue first
say "whole program: the same residents at a second agency"
requests --residents 1 --first "$rows" --known-requests "$((rows - 1))" --known "$rows" --id second
issue second
start=$(now)
fugo verify > /dev/null || die "fugo verify failed"
jq -n --argjson s "$(elapsed "$start")" --argjson n "$((rows + 1))" \
  '{people: $n, wall_seconds: $s}' > "$results/verify.json"

if ((daemon)); then
  say "the daemon beside the command"
  "$here/daemon.sh" "$build" "$out/daemon" "$out/agencies.csv" > "$results/daemon.json"
  rm -rf "$out/daemon"
fi
((postgres == 0)) || compare_with_postgres
rm -f "$out/kept.csv"

if ((link)); then
  rm -rf "$out/site"
  "$here/link.sh" "$build" "$out/link" "$out/agencies.csv" ${link_site:+--site "$link_site"} \
    > "$results/link.json"
  if ((regenerate)); then
    "$here/regenerate.sh" "$build" "$out/regenerate" "${link_site:-$out/link/site}" \
      > "$results/regenerate.json"
  fi
  rm -rf "$out/link"
fi

if ((p3)); then
  for people in 10000000 100000000; do
    rm -rf "$out/site"
    new_site "$out/site"
    say "P3: a ledger of $people"
    requests --residents "$people" --id first
    issue "p3-$people"
    batches "$people"
  done
fi

bash "$here/report.sh" "$results" "$build/bench"
if ((save)); then cp "$build/bench/report.md" "$here/../docs/performance.md"; fi
cat "$build/bench/report.md"
