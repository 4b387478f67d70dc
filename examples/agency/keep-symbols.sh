#!/bin/sh
# Keeps the symbols of an answer in the agency's own table, by processing number.
#
#   keep-symbols.sh --agency CODE [--id ID] [--summary FILE] ANSWER TABLE [CERTIFICATE KEY]
#
# ANSWER is <agency_code>.csv of an issue; an encrypted one (.csv.p7m) is opened with the agency's
# CERTIFICATE and KEY, see open-answer.sh beside this. TABLE is a CSV file of
# processing_number,agency_symbol,symbol_version, sorted by processing number; it is made if it is
# not there, and replaced whole. An answer that is kept twice changes nothing. A processing number
# with another symbol than the table has is refused, and so is a file for another agency, or one that
# is not as the options say (answer.sh beside this); the table stays as it was.
. "$(dirname "$0")/answer.sh"

take_options "$@"
shift "$taken"
[ $# = 2 ] || [ $# = 4 ] || fail "usage: $name.sh $options ANSWER TABLE [CERTIFICATE KEY]" 2
answer=$1 table=$2
[ -r "$answer" ] || fail "$answer cannot be read"

umask 077
work=$(mktemp -d "$(dirname "$table")/.keep-symbols.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if [ $# = 4 ]; then
  "$(dirname "$0")/open-answer.sh" --agency "$agency" ${id:+--id "$id"} \
    ${summary:+--summary "$summary"} "$answer" "$3" "$4" "$work/answer"
else
  cp "$answer" "$work/answer"
fi
check_clear "$work/answer" "$answer"

columns=processing_number,agency_symbol,symbol_version
[ "$(sed -n 2p "$work/answer")" = "$columns,status" ] || fail "$answer: is no answer to an issue"

tail -n +3 "$work/answer" | cut -d, -f1-3 >"$work/fresh"
: >"$work/kept"
if [ -e "$table" ]; then
  [ "$(sed -n 1p "$table")" = "$columns" ] || fail "$table: the first line is not $columns"
  tail -n +2 "$table" >"$work/kept"
fi
sort -u "$work/kept" "$work/fresh" >"$work/all"
twice=$(cut -d, -f1 "$work/all" | uniq -d | wc -l)
[ "$twice" = 0 ] || fail "$twice processing numbers have another symbol in $table: nothing was kept"
{ echo "$columns"; cat "$work/all"; } >"$work/table"
sync
mv "$work/table" "$table"
echo "$rows rows of the answer, $(wc -l <"$work/all") in the table"
