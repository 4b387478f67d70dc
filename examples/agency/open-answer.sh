#!/bin/sh
# Opens what was written for an agency: an answer or a mapping that is encrypted to its certificate.
#
#   open-answer.sh FILE CERTIFICATE KEY CLEAR
#
# FILE is <agency_code>.csv.p7m, CERTIFICATE the agency's own (PEM), KEY its private key (PEM; openssl
# asks for a passphrase if it has one). CLEAR appears whole or not at all, readable by its owner
# alone: openssl compares the seal at the very end, so nothing is named CLEAR before that. The head
# line's count is compared too. Needs openssl 3 and POSIX tools.
set -eu
export LC_ALL=C

fail() { echo "open-answer: $1" >&2; exit "${2:-1}"; }

[ $# = 4 ] || fail "usage: open-answer.sh FILE CERTIFICATE KEY CLEAR" 2
file=$1 certificate=$2 key=$3 clear=$4
for needed in "$file" "$certificate" "$key"; do
  [ -r "$needed" ] || fail "$needed cannot be read"
done
[ ! -e "$clear" ] || fail "$clear is there already"

umask 077
work=$(mktemp -d "$(dirname "$clear")/.open-answer.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

openssl cms -decrypt -binary -inform DER -in "$file" -recip "$certificate" -inkey "$key" \
  -out "$work/clear" || fail "$file cannot be opened: was it changed, or is it for somebody else?"

head=$(sed -n 1p "$work/clear")
case $head in
'#fugo-mapping,'* | '#fugo-response,'*) ;;
*) fail "$file: the first line is not that of an answer or a mapping" ;;
esac
told=${head##*records=}
told=${told%%,*}
there=$(($(wc -l <"$work/clear") - 2))
[ "$told" = "$there" ] || fail "$file: $there rows, and the first line says $told: truncated?"
sync
mv "$work/clear" "$clear"
