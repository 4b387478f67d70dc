#include "keystore/bulk_format.h"

#include <array>
#include <string>

#include "keystore/openssl_util.h"

namespace fugo::keystore {
namespace {

constexpr std::array<const BulkLayout*, 3> kLayouts = {&PersonCodec::kLayout, &IndexCodec::kLayout,
                                                       &IssuedCodec::kLayout};

}  // namespace

const BulkLayout* find_layout(FileKind kind) {
  for (const BulkLayout* layout : kLayouts)
    if (layout->kind == kind) return layout;
  return nullptr;
}

std::string bulk_file_name(FileNumber number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 10) digits.insert(0, 10 - digits.size(), '0');
  return digits + ".fugo";
}

std::string file_place(const BulkPlace& place, FileNumber number) {
  return (place.directory / bulk_file_name(number)).string();
}

Status derive_block_key(const BulkPlace& place, const FileRow& row, SecretBytes<32>& key) {
  std::array<std::uint8_t, 20> info{'f', 'u', 'g', 'o', ' ', 'f', 'i', 'l', 'e'};
  info[9] = static_cast<std::uint8_t>(row.kind);
  store_be(&info[10], row.generation);
  store_be(&info[12], row.number);
  return hkdf_sha256(row.key.bytes(), place.ledger_id.bytes, info, key.bytes());
}

}  // namespace fugo::keystore
