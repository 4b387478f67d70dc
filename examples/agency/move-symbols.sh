#!/bin/sh
# Moves an agency's own data from old symbols to new ones, by the mapping file alone.
#
#   move-symbols.sh --agency CODE [--id ID] [--summary FILE] MAPPING DATA NEW [CERTIFICATE KEY]
#
# MAPPING is <agency_code>.csv of a regeneration, a change of codes or a merger: a head line, then
# old_symbol,new_symbol. DATA is the agency's table as CSV: a line of column names, then rows whose
# first field is a symbol, which is not in quotes. NEW gets the same rows with the new symbols,
# sorted by them; it appears whole or not at all. Rows whose symbol is not in the mapping go to
# NEW.left as they are (exit 3): a symbol that was moved already, or one that the mapping does not
# know. Needs nothing but POSIX tools, and disk instead of memory, whatever the size. An encrypted
# MAPPING (.csv.p7m) is opened with the agency's CERTIFICATE and KEY, see open-answer.sh beside this.
# A file for another agency, or one that is not as the options say (answer.sh beside this), is refused.
. "$(dirname "$0")/answer.sh"

take_options "$@"
shift "$taken"
[ $# = 3 ] || [ $# = 5 ] || fail "usage: $name.sh $options MAPPING DATA NEW [CERTIFICATE KEY]" 2
mapping=$1 data=$2 new=$3
[ -r "$mapping" ] || fail "$mapping cannot be read"
[ -r "$data" ] || fail "$data cannot be read"
[ ! -e "$new" ] || fail "$new is there already"
[ ! -e "$new.left" ] || fail "$new.left is there already: it has rows of another run"

work=$(mktemp -d "$(dirname "$new")/.move-symbols.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
umask 077

if [ $# = 5 ]; then
  "$(dirname "$0")/open-answer.sh" --agency "$agency" ${id:+--id "$id"} \
    ${summary:+--summary "$summary"} "$mapping" "$4" "$5" "$work/mapping"
else
  cp "$mapping" "$work/mapping"
fi

check_clear "$work/mapping" "$mapping"
[ "$(sed -n 2p "$work/mapping")" = old_symbol,new_symbol ] || fail "$mapping:2: not old_symbol,new_symbol"

# The mapping comes sorted by old symbol; sorting it again costs little and trusts nobody.
tail -n +3 "$work/mapping" | sort -t, -k1,1 >"$work/pairs"
tail -n +2 "$data" | sort -t, -k1,1 >"$work/rows"
join -t, -v 2 "$work/pairs" "$work/rows" >"$work/left"
{
  sed -n 1p "$data"
  # Old symbol, new symbol, the other fields: the old one goes.
  join -t, "$work/pairs" "$work/rows" | cut -d, -f2- | sort -t, -k1,1
} >"$work/new"

rows=$(($(wc -l <"$data") - 1)) moved=$(($(wc -l <"$work/new") - 1)) left=$(wc -l <"$work/left")
[ "$rows" = $((moved + left)) ] ||
  fail "$rows rows came in, $moved and $left went out: is a symbol twice in the mapping?"
sync
if [ "$left" != 0 ]; then mv "$work/left" "$new.left"; fi
mv "$work/new" "$new"
echo "$moved of $rows rows have new symbols"
[ "$left" = 0 ] || { echo "$left rows are in $new.left: their symbols are not in the mapping" >&2; exit 3; }
