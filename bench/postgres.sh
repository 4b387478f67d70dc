#!/usr/bin/env bash
# The job of `fugo issue` in PostgreSQL 15 with pgcrypto, as a good database administrator would
# do it, on the same request file and the same machine.
#
#   bench/postgres.sh --registry agencies.csv --request request.csv [--rows N] [--work DIR]
#
# Prints one JSON object with seconds and residents a second. A temporary cluster is set up on a
# Unix socket, without TCP, and taken away again whatever happens.
#
# What it does: COPY in batches of one million rows, two sessions at once; check of form, check
# digit and agency; linkage symbol and agency symbol by HMAC-SHA-256; a unique row for each person,
# a unique row for each issuance; answers sorted by processing number, one file for each agency,
# synced. fsync, full_page_writes and synchronous_commit are on: a committed batch survives.
# What it does not do, and fugo does: keys in a token (the key lies in a table), sealing, a check
# value for collisions, duplicate processing numbers, rows with a wrong number of fields (COPY stops
# there), a journal, a digest of the content, going on with the same answers after a crash.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

registry='' request='' rows=0 work=${TMPDIR:-/tmp} batch_rows=1000000 sessions=2
while (($#)); do
  case $1 in
    --registry) registry=$2 ;;
    --request) request=$2 ;;
    --rows) rows=$2 ;;
    --work) work=$2 ;;
    --batch) batch_rows=$2 ;;
    *) die "unknown option $1" ;;
  esac
  shift 2
done
[[ -r $registry && -r $request ]] || die "needs --registry FILE and --request FILE"
registry=$(realpath "$registry") request=$(realpath "$request") work=$(realpath "$work")
bin=$(ls -d /usr/lib/postgresql/15/bin 2>/dev/null) || die "PostgreSQL 15 is not installed: apt-get install postgresql-15"

owner=$(id -un)
as_owner=()
if [[ $(id -u) == 0 ]]; then # the server refuses root
  owner=postgres
  as_owner=(runuser -u postgres --)
  "${as_owner[@]}" test -x "$work" || work=/var/tmp # such as below /root
fi
dir=$(mktemp -d "$work/fugo-postgres-XXXXXX")
[[ $(id -u) != 0 ]] || chmod 711 "$dir"
mkdir "$dir/cluster" "$dir/slices" "$dir/answers"
chown "$owner" "$dir/cluster"

stop() {
  "${as_owner[@]}" "$bin/pg_ctl" -D "$dir/cluster/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

memory_mib=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
settings() {
  cat <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$dir/cluster'
max_connections = 20
shared_buffers = $((memory_mib / 4))MB
effective_cache_size = $((memory_mib / 2))MB
work_mem = $((memory_mib / 32))MB
maintenance_work_mem = 1GB
temp_buffers = $((memory_mib / 32))MB
wal_level = minimal
max_wal_senders = 0
wal_compression = lz4
wal_buffers = 64MB
max_wal_size = 32GB
checkpoint_timeout = 30min
effective_io_concurrency = 100
random_page_cost = 1.1
max_parallel_workers_per_gather = 0
autovacuum = off
jit = off
fsync = on
synchronous_commit = on
full_page_writes = on
SETTINGS
}

cd / # a directory that the server's user can enter
"${as_owner[@]}" "$bin/initdb" -D "$dir/cluster/data" -U fugo -A trust -E UTF8 --locale=C \
  >"$dir/initdb.log" 2>&1 || die "initdb failed: $(tail -1 "$dir/initdb.log")"
settings | "${as_owner[@]}" tee -a "$dir/cluster/data/postgresql.conf" >/dev/null
"${as_owner[@]}" "$bin/pg_ctl" -D "$dir/cluster/data" -l "$dir/cluster/log" -w start >/dev/null ||
  die "the server did not start: $(tail -1 "$dir/cluster/log")"
sql() { psql -X -q -v ON_ERROR_STOP=1 -h "$dir/cluster" -U fugo -d postgres "$@"; }

sql -f "$here/postgres.sql"
cut -d, -f1 "$registry" | tail -n +2 | sql -c 'COPY agency (code) FROM STDIN'
sql -c 'ANALYZE agency'

# batch NUMBER: one slice of the request, in one session and one transaction.
batch() {
  sql -c 'CREATE TEMP TABLE raw (number text, agency text, code text)' \
    -c 'COPY raw FROM STDIN (FORMAT csv)' -c 'ANALYZE raw' \
    -c "CALL issue_batch($1)" \
    < "$dir/slices/$(printf %04d "$1")"
}
# worker W: every `sessions`-th batch.
worker() {
  local number
  for ((number = $1; number < batches; number += sessions)); do batch "$number"; done
}
# export_answers W: the files of every `sessions`-th agency, sorted by processing number.
export_answers() {
  sql -c "COPY (SELECT code, number, symbol, status FROM answer JOIN agency ON id = agency
    WHERE agency % $sessions = $1 ORDER BY agency, number) TO STDOUT (FORMAT csv)" |
    awk -F, -v dir="$dir/answers" '$1 != agency { if (agency) close(file); agency = $1
      file = dir "/" agency ".csv"; print "processing_number,agency_symbol,status" > file }
      { print $2 "," $3 "," $4 > file }'
}
# in_parallel FUNCTION: runs it for each session and waits; fails when one fails.
in_parallel() {
  local pids=() w failed=0
  for ((w = 0; w < sessions; w++)); do "$1" "$w" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  ((failed == 0)) || die "$1 failed"
}
((rows > 0)) || rows=$(($(wc -l < "$request") - 2))
sync
touch_memory
start=$(now)
# `head` would end `tail` by a broken pipe: sed reads to the row wanted and leaves.
sed -n "3,$((rows + 2))p;$((rows + 2))q" "$request" |
  split -l "$batch_rows" -d -a 4 - "$dir/slices/"
batches=$(find "$dir/slices" -type f | wc -l)
in_parallel worker
issued=$(now)
sql -c 'ANALYZE answer'
in_parallel export_answers
sync -f "$dir/answers"
end=$(now)

people=$(sql -At -c 'SELECT count(*) FROM person')
answers=$(find "$dir/answers" -name '*.csv' -exec cat {} + | grep -vc '^processing_number')
rejected=$(sql -At -c 'SELECT count(*) FROM reject')
bytes=$(sql -At -c "SELECT pg_total_relation_size('person') + pg_total_relation_size('issuance')")
((answers + rejected == rows)) || die "$rows rows, but $answers answers and $rejected rejects"
version=$(sql -At -c 'SHOW server_version')
awk -v s="$start" -v i="$issued" -v e="$end" -v n="$rows" -v p="$people" -v r="$rejected" \
  -v b="$bytes" -v v="$version" 'BEGIN {
  printf "{\"version\":\"%s\",\"rows\":%d,\"people\":%d,\"rejected\":%d,\"seconds\":%.2f,", v, n, p, r, e - s
  printf "\"seconds_issuing\":%.2f,\"seconds_answers\":%.2f,", i - s, e - i
  printf "\"residents_per_second\":%.0f,\"bytes_per_person\":%.1f}\n", p / (e - s), b / p }'
