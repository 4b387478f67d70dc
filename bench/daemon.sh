#!/usr/bin/env bash
# The daemon beside the command: the same files of a million rows, by turns, into two ledgers that
# stay alike; then what the idle daemon costs. Prints one JSON document.
#
#   bench/daemon.sh BUILD_DIR WORK_DIR REGISTRY_CSV [ROUNDS] [IDLE_SECONDS]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
build=$(cd "${1:?usage: daemon.sh BUILD_DIR WORK_DIR REGISTRY_CSV [ROUNDS] [IDLE_SECONDS]}" && pwd)
work=${2:?usage: daemon.sh BUILD_DIR WORK_DIR REGISTRY_CSV [ROUNDS] [IDLE_SECONDS]}
registry=${3:?usage: daemon.sh BUILD_DIR WORK_DIR REGISTRY_CSV [ROUNDS] [IDLE_SECONDS]}
rounds=${4:-3} idle_seconds=${5:-60} rows=1000000
fugo_program=$build/daemon/fugo
mkdir -p "$work/answers"
daemon=
stop() { [[ -z $daemon ]] || { kill "$daemon" 2>/dev/null && wait "$daemon" || true; }; }
trap stop EXIT

new_site() {
  "$fugo_program" --json init --dir "$1" >/dev/null
  "$fugo_program" --config "$1/fugo.toml" --json agency import "$registry" >/dev/null
}
request() { # ROUND FILE
  "$build/bench/fugo-testdata" requests --agencies "$registry" --residents "$rows" \
    --first "$(($1 * rows))" --id "round-$1" --out "$2" 2>/dev/null
}
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }

new_site "$work/by-command"
new_site "$work/by-daemon"
"$build/daemon/fugod" --config "$work/by-daemon/fugo.toml" 2> "$work/fugod.log" &
daemon=$!
inbox=$work/by-daemon/inbox
for _ in $(seq 100); do [[ -d $inbox ]] && break; sleep 0.1; done
sleep 1

by_command=0 by_daemon=0
for round in $(seq 0 $((rounds - 1))); do
  request "$round" "$work/request.csv"
  cp "$work/request.csv" "$inbox/.request"
  sync
  start=$(now)
  "$fugo_program" --config "$work/by-command/fugo.toml" --json issue "$work/request.csv" \
    --out "$work/answers" > /dev/null
  by_command=$(awk -v a="$by_command" -v b="$(elapsed "$start")" 'BEGIN { print a + b }')
  sync
  start=$(now)
  mv "$inbox/.request" "$inbox/round-$round.csv"
  # Done: answered, and the request destroyed.
  until [[ -d $work/by-daemon/outbox/round-$round && -z $(ls "$work/by-daemon/work") ]]; do
    kill -0 "$daemon" || die "fugod ended: $(tail -n 5 "$work/fugod.log")"
    sleep 0.005
  done
  by_daemon=$(awk -v a="$by_daemon" -v b="$(elapsed "$start")" 'BEGIN { print a + b }')
  rm -rf "$work/answers/round-$round" "$work/request.csv"
done
sleep 2
before=$(cpu_ticks)
sleep "$idle_seconds"
after=$(cpu_ticks)
stop
daemon=
for site in by-command by-daemon; do
  "$fugo_program" --config "$work/$site/fugo.toml" --json verify > /dev/null || die "$site: verify failed"
done
jq -n --argjson rows "$((rows * rounds))" --argjson command "$by_command" --argjson daemon "$by_daemon" \
  --argjson idle "$idle_seconds" --argjson ticks "$((after - before))" --argjson hz "$(getconf CLK_TCK)" '
  {rows: $rows, command_seconds: $command, daemon_seconds: $daemon,
   command_rows_per_second: ($rows / $command | round), daemon_rows_per_second: ($rows / $daemon | round),
   ratio: ($command / $daemon), idle_cpu_part: ($ticks / $hz / $idle)}'
