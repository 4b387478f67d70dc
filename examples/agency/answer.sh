# shellcheck shell=sh disable=SC2034,SC2015
# What the agency's programs have in common. They read this file; it is not run by itself.
#
# Each begins with: --agency CODE [--id ID] [--summary FILE]
#
#   --agency   whose file it must be: the code in its head line
#   --id       which request (or, of a mapping, which run) it must be of
#   --summary  the site's summary.json, from where nobody but the site can have put it: the file must
#              be one that it names. Anybody who has the agency's certificate can encrypt to it, so
#              this alone says that the site made what is opened. Needs openssl.
set -eu
export LC_ALL=C

name=$(basename "$0" .sh)
fail() { echo "$name: $1" >&2; exit "${2:-1}"; }

options="--agency CODE [--id ID] [--summary FILE]"
agency='' id='' summary='' taken=0

# take_options reads them, and leaves in `taken` how many words they are.
take_options() {
  while [ $# -gt 1 ]; do
    case $1 in
    --agency) agency=$2 ;;
    --id) id=$2 ;;
    --summary) summary=$2 ;;
    *) break ;;
    esac
    shift 2
    taken=$((taken + 2))
  done
  case $agency in
  '' | *[!0-9A-Z]*) fail "--agency CODE must say whose file it is to be" 2 ;;
  esac
  [ -z "$summary" ] || [ -r "$summary" ] || fail "$summary cannot be read"
}

# field NAME gives a field of a head line; nothing of it is shown, for it may be anybody's.
field() { printf '%s\n' "$head" | tr , '\n' | sed -n "s/^$1=//p"; }

# check_summary KIND FILE SHOWN compares a file with what the summary has of it: sha256 for the clear
# text, encrypted_sha256 for what was encrypted to the agency.
check_summary() {
  [ -n "$summary" ] || return 0
  told=$(tr -d ' \n\r\t' <"$summary" | tr '{}' '\n\n' |
    sed -n "/\"name\":\"$agency\.csv\"/s/.*\"$1\":\"\([0-9a-f]*\)\".*/\1/p")
  there=$(openssl dgst -sha256 -r "$2" | cut -c1-64)
  [ -n "$told" ] && [ "$told" = "$there" ] || fail "$3: is not the file that $summary names"
}

# check_clear FILE SHOWN looks at a clear file: its form, that it is whole, and whose it is. It
# leaves its number of rows in `rows`.
check_clear() {
  head=$(sed -n 1p "$1")
  case $head in
  '#fugo-mapping,'* | '#fugo-response,'*) ;;
  *) fail "$2: the first line is not that of an answer or a mapping" ;;
  esac
  rows=$(($(wc -l <"$1") - 2))
  [ "$(field records)" = "$rows" ] || fail "$2: $rows rows, and the first line says otherwise: truncated?"
  [ "$(field agency)" = "$agency" ] || fail "$2: is not for agency $agency"
  [ -z "$id" ] || [ "$(field id)$(field run)" = "$id" ] || fail "$2: is not of $id"
  check_summary sha256 "$1" "$2"
}
