#include "tests/engine/change/raw_ledger.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>

#include "keystore/bulk_reader.h"
#include "keystore/ledger_impl.h"

namespace fugo::engine::testing {
namespace {

using keystore::BlockReader;
using keystore::BulkFile;
using keystore::FileKind;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

int count_of(ByteView haystack, ByteView needle) {
  int found = 0;
  for (auto at = haystack.begin();; ++at, ++found) {
    at = std::search(at, haystack.end(),
                     std::boyer_moore_horspool_searcher(needle.begin(), needle.end()));
    if (at == haystack.end()) return found;
  }
}

template <typename Codec, typename Match>
int count_entries(const BulkFile& file, std::uint64_t block, const std::uint8_t* plain,
                  Match match) {
  int found = 0;
  for (std::size_t i = 0; i < file.entries_in(block); ++i) {
    typename Codec::Entry entry;
    Codec::decode(plain + i * Codec::kLayout.entry_bytes, entry);
    found += match(entry) ? 1 : 0;
  }
  return found;
}

void look_into_block(const BulkFile& file, std::uint64_t block, const std::uint8_t* plain,
                     const Trace& trace, Traces& traces) {
  const ByteView bytes(plain, keystore::kPlainBytes);
  traces.symbols += count_of(bytes, trace.linkage_symbol.bytes);
  traces.checks += count_of(bytes, trace.check_value);
  if (block >= file.data_blocks()) return;
  if (file.row().kind == FileKind::kIndex)
    traces.index_entries += count_entries<keystore::IndexCodec>(
        file, block, plain, [&](const keystore::IndexEntry& entry) {
          return entry.id == trace.id || entry.digest == trace.digest;
        });
  if (file.row().kind == FileKind::kIssued)
    traces.issuances += count_entries<keystore::IssuedCodec>(
        file, block, plain,
        [&](const keystore::IssuedEntry& entry) { return entry.key.id == trace.id; });
}

const keystore::LedgerImpl::Parts& parts_of(const keystore::Ledger& ledger) {
  return dynamic_cast<const keystore::LedgerImpl&>(ledger).parts();
}

std::vector<keystore::FileRow> manifest(const keystore::Ledger& ledger) {
  const auto& parts = parts_of(ledger);
  const auto transaction = must(keystore::ReadTransaction::begin(parts.environment));
  return must(keystore::all_rows<keystore::FileRow>(*transaction, *parts.sealer,
                                                    keystore::Table::kManifest));
}

// Rows of the table of patches that name the person.
int living_patches(const keystore::Ledger& ledger, const Trace& trace) {
  const auto& parts = parts_of(ledger);
  const auto transaction = must(keystore::ReadTransaction::begin(parts.environment));
  int found = 0;
  for (const auto& patch : must(keystore::all_rows<keystore::PersonPatch>(
           *transaction, *parts.sealer, keystore::Table::kPatches)))
    if (patch.id == trace.id || patch.successor == trace.id || patch.predecessor == trace.id)
      ++found;
  return found;
}

int count_raw(const std::filesystem::path& directory, const Trace& trace) {
  std::array<std::uint8_t, 8> digest{};
  store_be(digest.data(), trace.digest);
  int found = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (!file.is_regular_file()) continue;
    std::ifstream stream(file.path(), std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream), {}};
    found += count_of(bytes, trace.linkage_symbol.bytes) + count_of(bytes, trace.check_value) +
             count_of(bytes, digest);
  }
  return found;
}

}  // namespace

Traces find_traces(const keystore::Ledger& ledger, const std::filesystem::path& directory,
                   const Trace& trace) {
  const keystore::BulkPlace place{directory / "data", ledger.header().ledger_id};
  Traces traces;
  for (const keystore::FileRow& row : manifest(ledger)) {
    const auto file = must(BulkFile::open(place, row));
    auto reader = must(BlockReader::create(*file));
    for (std::uint64_t block = 0; block < row.bytes / keystore::kBlockBytes; ++block) {
      const std::uint8_t* plain = reader.load(block);
      if (plain == nullptr) throw std::runtime_error(reader.failure(block).value().message());
      look_into_block(*file, block, plain, trace, traces);
    }
  }
  traces.patches = living_patches(ledger, trace);
  traces.raw = count_raw(directory, trace);
  return traces;
}

std::set<std::string> bulk_names(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(directory / "data"))
    names.insert(file.path().filename().string());
  return names;
}

std::set<std::string> manifest_names(const keystore::Ledger& ledger) {
  std::set<std::string> names;
  for (const auto& row : manifest(ledger)) names.insert(keystore::bulk_file_name(row.number));
  return names;
}

}  // namespace fugo::engine::testing
