#!/usr/bin/env bash
# Valid seeds for the fuzz targets, made by the real command at a real site:
#   tests/fuzz/make_seeds.sh FUGO RECIPIENT.KEY SENDER.KEY
# writes tests/fuzz/corpus/TARGET/made-NAME; fugo-fuzz-seeds DIR (a target of the build) writes those that no
# file of a site is. The keys belong to the certificates in
# tests/data/exchange; they are not kept, so new ones (and new certificates) are made for this.
set -euo pipefail
fugo=$(realpath "$1") recipient_key=$(realpath "$2") sender_key=$(realpath "$3")
cd "$(dirname "${BASH_SOURCE[0]}")/corpus"
corpus=$PWD data=$PWD/../../data
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT

# seed TARGET NAME: standard input becomes a seed.
seed() {
  mkdir -p "$corpus/$1"
  cat >"$corpus/$1/made-$2"
}
run() { "$fugo" --config "$site/s/fugo.toml" "$@"; }
quietly() { run "$@" >/dev/null; }

"$fugo" init --dir "$site/s" >/dev/null
printf 'agency_code,name,method\n131016,Chiyoda,\n472018,Naha,hmac-sha256\n141003,Yokohama,xts-aes256\n' |
  tee "$site/agencies.csv" | seed agency_file three
quietly agency import "$site/agencies.csv"
printf '%s\n' '#fugo-request,version=1,id=L1,kind=issue,environment=test,records=3' \
  'processing_number,agency_code,resident_code' '1,131016,24727059608' '2,131016,24846016224' \
  '1,472018,24727059608' | tee "$site/L1.csv" | seed request issue
quietly issue "$site/L1.csv" --out "$site/out"
quietly freeze link --reason "a test" || true
quietly thaw link || true
seed answer_summary issue <"$site/out/L1/summary.json"
seed moved_configuration site <"$site/s/fugo.toml"
seed configuration site <"$site/s/fugo.toml"
(printf '\x08\x01\x00\x00\x00\x00\x00\x00\x00\x00%016d' 0 && cat "$site/s/fugo.toml") | seed c_open site
for package in "$site"/s/recovery/*; do
  case $package in
    *.pem) seed rsa_public_key site <"$package" ;;
    *.json) seed recovery_package "$(basename "$package")" <"$package" ;;
  esac
done

# The journal, and what is kept of it.
quietly journal export --out "$site/journal"
(printf r && cat "$site/journal") | seed journal_copy export
head -n 1 "$site/journal" | tr -d '\n' | seed journal_line first
tail -n 1 "$site/journal" | tr -d '\n' | seed journal_line last
quietly journal checkpoint --out "$site/checkpoint"
seed checkpoint site <"$site/checkpoint"
(printf r && cat "$site/checkpoint") | seed note site
(printf '\0\3' && sed -n '4,/^$/p' "$site/checkpoint" | sed '/^$/d') | seed note lines
{
  printf '\0'
  python3 - "$site/journal" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    entry = json.loads(line)
    print(entry["act"], json.dumps(entry["details"], separators=(",", ":")))
PY
} | seed journal_copy acts

# Backup, shipments and their memory, statements.
quietly backup "$site/backup"
seed page_walker site <"$site/backup/ledger/data.mdb"
seed inventory backup <"$site/backup/backup.json"
(printf '\0' && cat "$site/backup/backup.json") | seed statement signed
(python3 -c "import sys; s=open(sys.argv[1],'rb').read(); sys.stdout.buffer.write(bytes([len(s)])+s)" \
  "$site/backup/backup.json.sig" && cat "$site/backup/backup.json") | seed statement other
mkdir -p "$site/ships" && quietly ship "$site/ships"
(printf '\0' && cat "$site"/ships/shipment-0000000001/shipment.json) | seed shipment whole
seed shipment_memory last <"$site/s/ledger/shipments/last.json"
quietly freeze link --reason "another test" || true
mkdir -p "$site/ships" && quietly ship "$site/ships"
(printf '\0' && cat "$site"/ships/shipment-0000000002/shipment.json) | seed shipment next
"$fugo" --config "$site/s/fugo.toml" follow "$site/ships" --dir "$site/second" >/dev/null
seed shipment_memory mark <"$(find "$site/second" -name standby.json)"

# An approval; the ledger's own words are put in by the target.
for name in ada ben; do
  openssl ecparam -name prime256v1 -genkey -noout -out "$site/$name.key" 2>/dev/null
  openssl ec -in "$site/$name.key" -pubout -out "$site/s/$name.pem" 2>/dev/null
done
seed custodian_key ec <"$site/s/ada.pem"
printf '\n[custodians]\nada = "ada.pem"\nben = "ben.pem"\n' >>"$site/s/fugo.toml"
seed configuration custodians <"$site/s/fugo.toml"
run keys request create agency wrap --out "$site/request" >/dev/null 2>&1 ||
  run keys request create --purpose agency --out "$site/request" >/dev/null 2>&1 || true
if [[ -s $site/request ]]; then
  (printf '\3m' && cat "$site/request") | seed approval command
fi
printf '%s\n' '#fugo-approval,version=1' 'ledger=@LEDGER@' 'environment=test' 'act=keys.create' \
  'key=fugo-agency-aes256-v2' 'key=fugo-wrap-aes256-v2' 'expires=2099-01-01T00:00:00Z' \
  'journal_entries=@ENTRIES@' 'journal_head=@HEAD@' >"$site/approval"
for who in 1 3 5 7 9; do
  (printf "\\$(printf %o $who)m" && cat "$site/approval") | seed approval "from-$who"
done

# Shares of a recovery key, and the key.
for name in ann bob eve; do
  openssl req -x509 -newkey rsa:3072 -nodes -keyout "$site/$name.key" -out "$site/$name.crt" \
    -days 30000 -subj "/CN=$name" 2>/dev/null
done
quietly keys escrow --custodian ann="$site/ann.crt" --custodian bob="$site/bob.crt" \
  --custodian eve="$site/eve.crt" --out "$site/escrow"
for name in ann bob eve; do
  openssl cms -decrypt -inform PEM -in "$site/escrow/$name.share.p7m" -inkey "$site/$name.key" \
    -out "$site/$name.share"
done
join() { cat "$site/$1.share" && printf '\0' && cat "$site/$2.share"; }
join ann eve | seed custodian_share two
(join ann bob && printf '\0' && cat "$site/eve.share") | seed custodian_share three
join ann ann | seed custodian_share twice
seed custodian_share one <"$site/bob.share"
seed recovery_key rsa <"$site/ann.key"
seed rsa_public_key escrow <"$site/escrow/recovery-public.pem"

# Certificates, and encrypted requests. In front of a message is the key that it was encrypted by.
for name in recipient sender; do
  seed certificate "$name" <"$data/exchange/$name.pem"
  openssl x509 -in "$data/exchange/$name.pem" -outform DER | seed certificate "$name-der"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout /dev/null -days 30000 \
  -subj /CN=agency -addext keyUsage=keyAgreement 2>/dev/null | seed certificate ec-agreement
openssl req -x509 -newkey ed25519 -nodes -keyout /dev/null -days 30 -subj /CN=ed 2>/dev/null |
  seed certificate ed25519
openssl req -x509 -newkey rsa:1024 -nodes -keyout /dev/null -days 30 -subj /CN=short 2>/dev/null |
  seed certificate short
for how in "-binary -nodetach -md sha256" "-binary -nodetach -md sha256 -nocerts" \
  "-binary -nodetach -md sha512 -noattr" "-binary -md sha256" "-binary -nodetach -md sha1"; do
  name=$(tr -cd 'a-z0-9' <<<"$how")
  openssl cms -sign $how -signer "$data/exchange/sender.pem" -inkey "$sender_key" -in "$site/L1.csv" \
    -outform DER -out "$site/signed"
  seed cms_signed "$name" <"$site/signed"
  [[ $how == *512* ]] && continue
  openssl cms -encrypt -binary -aes-256-gcm -recip "$data/exchange/recipient.pem" -keyopt \
    rsa_padding_mode:oaep -in "$site/signed" -outform DER -out "$site/p7m"
  # The encrypted key is the first OCTET STRING of 384 bytes.
  at=$(openssl asn1parse -inform DER -in "$site/p7m" | awk -F: '/l= 384 prim: OCTET/ { print $1+0; exit }')
  openssl asn1parse -inform DER -in "$site/p7m" -strparse "$at" -noout -out /dev/null 2>/dev/null || true
  python3 - "$site/p7m" "$at" >"$site/ek" <<'PY'
import sys
message, at = open(sys.argv[1], "rb").read(), int(sys.argv[2])
sys.stdout.buffer.write(message[at + 4:at + 4 + 384])
PY
  openssl pkeyutl -decrypt -inkey "$recipient_key" -pkeyopt rsa_padding_mode:oaep -in "$site/ek" \
    -out "$site/cek"
  cat "$site/cek" "$site/p7m" | seed cms_request "$name"
done
for how in "-aes-256-cbc -keyopt rsa_padding_mode:oaep" "-aes-128-gcm -keyopt rsa_padding_mode:oaep" \
  "-aes-256-gcm" "-aes-256-gcm -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256" \
  "-stream -aes-256-gcm -keyopt rsa_padding_mode:oaep"; do
  words=($how)
  openssl cms -encrypt -binary "${words[0]}" $([[ ${words[0]} == -stream ]] && echo -aes-256-gcm) \
    -recip "$data/exchange/recipient.pem" $(grep -o -- '-keyopt [^ ]*' <<<"$how" || true) -in "$site/signed" \
    -outform DER -out "$site/p7m"
  (printf '%032d' 0 && cat "$site/p7m") | seed cms_request "odd-$(tr -cd 'a-z0-9' <<<"$how")"
done
echo "seeds are in $corpus"
