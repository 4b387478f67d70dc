#!/bin/sh
# Opens what was written for an agency: an answer or a mapping that is encrypted to its certificate.
#
#   open-answer.sh --agency CODE [--id ID] [--summary FILE] ENCRYPTED CERTIFICATE KEY CLEAR
#
# ENCRYPTED is <agency_code>.csv.p7m, CERTIFICATE the agency's own (PEM), KEY its private key (PEM;
# openssl asks for a passphrase if it has one). CLEAR appears whole or not at all, readable by its
# owner alone: openssl compares the seal at the very end, so nothing is named CLEAR before that, and
# before whose it is and how many rows it has were compared. The options are told in answer.sh beside
# this. Needs openssl 3 and POSIX tools.
. "$(dirname "$0")/answer.sh"

take_options "$@"
shift "$taken"
[ $# = 4 ] || fail "usage: $name.sh $options ENCRYPTED CERTIFICATE KEY CLEAR" 2
file=$1 certificate=$2 key=$3 clear=$4
for needed in "$file" "$certificate" "$key"; do
  [ -r "$needed" ] || fail "$needed cannot be read"
done
[ ! -e "$clear" ] || fail "$clear is there already"

umask 077
work=$(mktemp -d "$(dirname "$clear")/.open-answer.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A copy, so that what was compared is what is opened.
cp "$file" "$work/encrypted"
check_summary encrypted_sha256 "$work/encrypted" "$file"
openssl cms -decrypt -binary -inform DER -in "$work/encrypted" -recip "$certificate" -inkey "$key" \
  -out "$work/clear" || fail "$file cannot be opened: was it changed, or is it for somebody else?"
check_clear "$work/clear" "$file"
sync
mv "$work/clear" "$clear"
