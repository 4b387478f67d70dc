#!/usr/bin/env bash
# A site from nothing: a million made-up residents are issued symbols, issued again, rejected,
# linked and verified. Every figure is checked; the end is reached only if all are as they must be.
#
#   bench/demo.sh BUILD_DIR [SITE_DIR]      (SITE_DIR: demo-site/, removed and made afresh)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

build=$(cd "${1:?usage: demo.sh BUILD_DIR [SITE_DIR]}" && pwd)
site=${2:-$(dirname "$here")/demo-site}
residents=${FUGO_DEMO_RESIDENTS:-1000000}
fugo_program=$build/daemon/fugo
testdata=$build/bench/fugo-testdata
[[ -x $fugo_program && -x $testdata ]] || die "build the targets fugo and fugo-testdata first"
for tool in jq awk; do command -v "$tool" >/dev/null || die "$tool is not installed"; done

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
table=()
demo_start=$(now)

step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# row WHAT COUNT SECONDS: for the table at the end.
row() { table+=("$1|$(grouped "$2")|$3|$(grouped "$(per_second "$2" "$3")")"); }
# must_be WHAT WANTED GOT
must_be() {
  [[ $2 == "$3" ]] || die "$1 must be $2, but is ${3:-missing}"
  printf '  %-46s %s\n' "$1" "$3"
}
# fugo EXPECTED_EXIT ARGUMENT...: runs the command; its JSON is in $result, its seconds in $took.
fugo() {
  local expected=$1 start code=0
  shift
  echo "  \$ fugo $*"
  start=$(now)
  result=$("$fugo_program" --config "$site/fugo.toml" --json "$@") || code=$?
  took=$(elapsed "$start")
  [[ $code == "$expected" ]] || die "exit code $code instead of $expected: $result"
}
get() { jq -r "$1" <<<"$result"; }
# answers_of ID AGENCY: number,symbol,version,status lines of an answer file.
answers_of() { tail -n +3 "$site/demo/answers/$1/$2.csv"; }

# ---------------------------------------------------------------------------------------------
step "1. A site: three SoftHSM tokens, keys that never leave them, an empty ledger"
if [[ -e $site ]]; then
  [[ -f $site/fugo.toml || -d $site/demo ]] || die "$site is there, but is no site of a demo"
  rm -rf "$site"
fi
fugo 0 init --dir "$site"
work=$site/demo
mkdir "$work" "$work/answers"
"$testdata" agencies --national-bodies 20 --out "$work/agencies.csv" 2>/dev/null
fugo 0 agency import "$work/agencies.csv"
must_be "agencies registered" 1808 "$(get .added)"

# ---------------------------------------------------------------------------------------------
step "2. $(grouped "$residents") residents, each known to the municipality of residence"
requests() { "$testdata" requests --agencies "$work/agencies.csv" --environment test "$@" 2>/dev/null; }
requests --residents "$residents" --id first --out "$work/first.csv"
fugo 0 issue "$work/first.csv" --out "$work/answers"
row "issued to new people" "$residents" "$took"
must_be "new" "$residents" "$(get .new)"
must_be "existing" 0 "$(get .existing)"
must_be "rejected" 0 "$(get .rejected)"
must_be "people made" "$residents" "$(get .people_new)"
fugo 0 digest
digest=$(get .digest)
bytes=$(du -sb "$site/ledger" | cut -f1)

# ---------------------------------------------------------------------------------------------
step "3. The same rows once more, under another id: nobody is made twice"
requests --residents "$residents" --id again --out "$work/again.csv"
fugo 0 issue "$work/again.csv" --out "$work/answers"
row "found again" "$residents" "$took"
must_be "new" 0 "$(get .new)"
must_be "existing" "$residents" "$(get .existing)"
fugo 0 digest
must_be "the ledger's digest" "$digest" "$(get .digest)"
all_symbols() {
  find "$work/answers/$1" -name '*.csv' ! -name rejects.csv | sort |
    xargs cat | grep -v '^#' | cut -d, -f1,2 | sha256sum | cut -d' ' -f1
}
[[ $(all_symbols first) == "$(all_symbols again)" ]] || die "the second answers differ in a symbol"
echo "  every symbol is the same as the first time"

# ---------------------------------------------------------------------------------------------
step "4. Known people at a second agency, new people, and bad rows of every kind"
known=$((residents / 10)) new=$((residents / 100)) bad=$((residents / 5000))
suspended=N0007
fugo 0 agency suspend "$suspended"
requests --residents "$new" --first "$residents" --known-requests "$known" --known "$residents" \
  --known-ordinal 1 --bad "$bad" --suspended "$suspended" --id mixed --out "$work/mixed.csv"
fugo 3 issue "$work/mixed.csv" --out "$work/answers"
row "issued among bad rows" "$((known + new))" "$took"
must_be "new" "$((known + new))" "$(get .new)"
must_be "people made" "$new" "$(get .people_new)"
must_be "rejected" "$((7 * bad))" "$(get .rejected)"
for reason in malformed_row bad_processing_number bad_resident_code bad_check_digit \
  unknown_agency duplicate_processing_number suspended_agency; do
  must_be "  $reason" "$bad" "$(get ".rejects.$reason")"
done
must_be "lines in rejects.csv" "$((7 * bad + 1))" "$(wc -l < "$work/answers/mixed/rejects.csv")"
fugo 0 agency resume "$suspended"

# ---------------------------------------------------------------------------------------------
# What the link must answer is worked out from requests and answers: symbols of the two agencies
# that went out for one resident code belong together.
from=141003 to=140007
step "5. Link: symbols of the city $from to those of its prefecture $to"
# codes_of REQUEST ID AGENCY: "resident code,symbol" lines of one agency's answers.
codes_of() {
  awk -F, -v agency="$3" 'NR == FNR { symbol[$1] = $2; next }
    FNR > 2 && $2 == agency && $1 in symbol { print $3 "," symbol[$1] }' \
    <(answers_of "$2" "$3") "$1"
}
codes_of "$work/first.csv" first "$from" > "$work/from-codes"
codes_of "$work/mixed.csv" mixed "$to" > "$work/to-codes"
awk -F, 'NR == FNR { symbol[$1] = $2; next } $1 in symbol { print $2 "," symbol[$1] }' \
  "$work/to-codes" "$work/from-codes" | sort > "$work/pairs-expected"
{ answers_of first "$from" | cut -d, -f2; echo NOT-A-SYMBOL; } > "$work/symbols"
# A symbol of somebody else's agency means nothing here.
sed -n 3p "$work/answers/first/271004.csv" | cut -d, -f2 >> "$work/symbols"
symbols=$(wc -l < "$work/symbols") linked=$(wc -l < "$work/pairs-expected")
fugo 3 link "$work/symbols" --from "$from" --to "$to" --out "$work/linked.csv"
row "linked" "$symbols" "$took"
must_be "ok" "$linked" "$(get .by_status.ok)"
must_be "not issued by $to" "$((symbols - linked - 2))" "$(get .by_status.not_issued)"
must_be "bad symbol" 1 "$(get .by_status.bad_symbol)"
must_be "unknown" 1 "$(get .by_status.unknown)"
awk -F, '$2 == "ok" { print $1 "," $3 }' "$work/linked.csv" | sort > "$work/pairs"
cmp -s "$work/pairs" "$work/pairs-expected" || die "a symbol was linked to somebody else's"
echo "  every linked symbol is the right person's"
cut -d, -f2 "$work/pairs" > "$work/symbols-back"
fugo 0 link "$work/symbols-back" --from "$to" --to "$from" --out "$work/linked-back.csv"
awk -F, '$2 == "ok" { print $3 "," $1 }' "$work/linked-back.csv" | sort > "$work/pairs-back"
cmp -s "$work/pairs" "$work/pairs-back" || die "the way back does not lead to where it began"
echo "  and the way back leads to where it began"

# ---------------------------------------------------------------------------------------------
step "6. Verify: every record, index, registry, journal entry and key"
fugo 0 verify
row "people verified" "$((residents + new))" "$took"
# Made-up codes or not: a request file is not left lying about.
rm -f "$work"/{first,again,mixed}.csv "$work"/{from,to}-codes

printf '\n%s%-28s %14s %9s %14s%s\n' "$bold" what count seconds "per second" "$plain"
for line in "${table[@]}"; do
  IFS='|' read -r what count seconds rate <<<"$line"
  printf '%-28s %14s %9s %14s\n' "$what" "$count" "$seconds" "$rate"
done
printf '\n%-28s %14s bytes a person, one issuance each\n' "ledger after step 2" \
  "$(awk -v b="$bytes" -v n="$residents" 'BEGIN { printf "%.1f", b / n }')"
printf '%-28s %14s seconds, on %s\n' "whole demo" "$(elapsed "$demo_start")" "$(cpu_name)"
printf '\nEverything came out as it must. The site is in %s; try:\n' "$site"
printf '  %s --config %s status\n' "$fugo_program" "$site/fugo.toml"
