// Rows after they were opened, the blocks of bulk files, and the walker of LMDB's pages.
#include <openssl/evp.h>

#include <algorithm>

#include "keystore/bulk_format.h"
#include "keystore/page_walker.h"
#include "keystore/rows.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::fuzz;

namespace {

// round_trip: what is taken in is what would be written, but for the order of CBOR.
template <typename Row>
void round_trip(ByteView content) {
  const auto row = keystore::decode_row<Row>(content);
  if (!row) return;
  reached();
  const auto again = keystore::encode_row(*row);
  must(again.has_value(), "a row that was read can be written");
  must(keystore::decode_row<Row>(again->bytes()).has_value(), "and read again");
}

template <typename Codec>
void decode_entries(ByteView bytes) {
  typename Codec::Entry entry{};
  for (std::size_t at = 0; at + Codec::kLayout.entry_bytes <= bytes.size();
       at += Codec::kLayout.entry_bytes) {
    if (!Codec::well_formed(bytes.data() + at)) continue;
    reached();
    Codec::decode(bytes.data() + at, entry);
    std::uint8_t again[64] = {};
    Codec::encode(entry, again);
    must(std::equal(again, again + Codec::kLayout.entry_bytes, bytes.data() + at),
         "an entry has one form");
  }
}

}  // namespace

// The first byte chooses the row.
FUGO_FUZZ(rows) {
  if (input.empty()) return;
  const ByteView content = input.subspan(1);
  switch (input.front() % 13) {
    case 0:
      return round_trip<keystore::LedgerState>(content);
    case 1:
      return round_trip<keystore::Agency>(content);
    case 2:
      return round_trip<keystore::KeyRow>(content);
    case 3:
      return round_trip<keystore::GenerationRow>(content);
    case 4:
      return round_trip<keystore::JobRow>(content);
    case 5:
      return round_trip<keystore::JobIdRow>(content);
    case 6:
      return round_trip<keystore::SegmentRow>(content);
    case 7:
      return round_trip<keystore::StatDay>(content);
    case 8:
      return round_trip<keystore::FileRow>(content);
    case 9:
      return round_trip<keystore::PersonPatch>(content);
    case 10:
      return round_trip<keystore::RunRow>(content);
    case 11:
      return round_trip<keystore::RunAgencyRow>(content);
    default:
      return round_trip<keystore::JournalEntry>(content);
  }
}

// With the hash that is right for it, since anybody can make that; and as it is.
FUGO_FUZZ(ledger_header) {
  (void)keystore::decode_header(input);
  std::vector<std::uint8_t> content(input.begin(), input.end());
  std::array<std::uint8_t, 32> hash{};
  must(EVP_Digest(input.data(), input.size(), hash.data(), nullptr, EVP_sha256(), nullptr) == 1,
       "SHA-256 is there");
  content.insert(content.end(), hash.begin(), hash.end());
  const auto header = keystore::decode_header(content);
  if (!header) return;
  reached();
  must(keystore::encode_header(*header).has_value(), "a header that was read can be written");
}

FUGO_FUZZ(bulk_entries) {
  decode_entries<keystore::PersonCodec>(input);
  decode_entries<keystore::IndexCodec>(input);
  decode_entries<keystore::IssuedCodec>(input);
}

FUGO_FUZZ(page_walker) {
  const auto report = keystore::check_pages(as_file(input));
  if (report && report->sound()) reached();
  if (report) must(report->reached <= report->pages || !report->sound(), "no more than there is");
}
