// The ledger's tables in LMDB: numbered, sealed, counted.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "keystore/environment.h"
#include "keystore/ledger_keys.h"
#include "keystore/rows.h"
#include "keystore/seal.h"
#include "keystore/types.h"

namespace fugo::keystore {

// Table is the first byte of every key. Numbers are stored: never change or reuse one.
enum class Table : std::uint8_t {
  kHeader = 1,  // one row, not sealed
  kState = 2,   // one row
  kManifest = 3,
  kAgencies = 4,
  kKeys = 5,
  kGenerations = 6,
  kJobs = 7,
  kJobIds = 8,
  kSegments = 9,
  kJournal = 10,
  kPatches = 11,
  kStats = 12,
  kRuns = 13,
  kRunAgencies = 14,
};
inline constexpr std::uint8_t kFirstCounted = 3;  // counted in LedgerState::table_rows from here
inline constexpr std::uint8_t kTableCount = 15;   // one more than the last

// table_name is what errors say: "manifest".
[[nodiscard]] const char* table_name(Table table);

// RowKey is a row's key: the table, then big-endian numbers or a keyed hash, so that a key tells
// nothing and rows come in order of their numbers.
class RowKey {
 public:
  explicit RowKey(Table table) : size_(1) { bytes_[0] = static_cast<std::uint8_t>(table); }
  template <typename Int>
  [[nodiscard]] RowKey with(Int value) const {
    RowKey longer = *this;
    store_be<Int>(&longer.bytes_[size_], value);
    longer.size_ += sizeof(Int);
    return longer;
  }
  [[nodiscard]] RowKey with_hash(const std::array<std::uint8_t, 32>& hash) const;

  [[nodiscard]] Table table() const { return static_cast<Table>(bytes_[0]); }
  [[nodiscard]] ByteView bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<std::uint8_t, 24> bytes_{};
  std::size_t size_;
};

[[nodiscard]] inline RowKey key_of(const FileRow& row) {
  return RowKey(Table::kManifest).with(row.number);
}
[[nodiscard]] inline RowKey key_of(const Agency& row) {
  return RowKey(Table::kAgencies).with(row.number);
}
[[nodiscard]] inline RowKey key_of(const KeyRow& row) {
  return RowKey(Table::kKeys).with(row.purpose).with(row.algorithm).with(row.version);
}
[[nodiscard]] inline RowKey key_of(const GenerationRow& row) {
  return RowKey(Table::kGenerations).with(row.number);
}
[[nodiscard]] inline RowKey key_of(const JobRow& row) {
  return RowKey(Table::kJobs).with(row.number);
}
[[nodiscard]] inline RowKey key_of(const SegmentRow& row) {
  return RowKey(Table::kSegments).with(row.number);
}
[[nodiscard]] inline RowKey key_of(const JournalEntry& row) {
  return RowKey(Table::kJournal).with(row.sequence);
}
[[nodiscard]] inline RowKey key_of(const RunRow& row) {
  return RowKey(Table::kRuns).with(row.number);
}
[[nodiscard]] inline RowKey key_of(const RunAgencyRow& row) {
  return RowKey(Table::kRunAgencies).with(row.run).with(row.agency);
}

// Sealer seals and opens rows of one ledger. Immutable and thread-safe.
class Sealer {
 public:
  // `header` is the header's row as stored: the state row is bound to it.
  Sealer(std::shared_ptr<const LedgerKeys> keys, std::vector<std::uint8_t> header)
      : keys_(std::move(keys)), header_(std::move(header)) {}

  [[nodiscard]] Result<std::vector<std::uint8_t>> seal(ByteView key, ByteView content) const;
  // open: kDamaged naming the table.
  [[nodiscard]] Result<WipedBytes> open(ByteView key, ByteView sealed) const;
  // row_element is a row's element of LedgerState::rows_digest.
  [[nodiscard]] Result<DigestSum> row_element(ByteView key, ByteView sealed) const;
  // check_header: kStale when the ledger has another header than this sealer's by now, since then
  // its rows are sealed under other keys.
  [[nodiscard]] Status check_header(const Transaction& transaction) const;

  // Keys that are made of what must not be seen: the first 16 bytes of HMAC-SHA-256 under the
  // request key.
  [[nodiscard]] Result<RowKey> job_id_key(const std::string& id) const;
  [[nodiscard]] Result<RowKey> day_key(const std::string& day) const;
  // People are numbered in the order in which they came: the same hash of the number, which all
  // patches of a person begin with, and then the generation.
  [[nodiscard]] Result<RowKey> patch_prefix(PersonId id) const;
  [[nodiscard]] Result<RowKey> patch_key(const PersonPatch& row) const;

 private:
  [[nodiscard]] Result<RowKey> hashed_key(Table table, ByteView text) const;
  [[nodiscard]] std::vector<std::uint8_t> associated(ByteView key) const;
  std::shared_ptr<const LedgerKeys> keys_;
  std::vector<std::uint8_t> header_;
};

// begin_reading and begin_writing begin a transaction on the ledger as the sealer knows it: kStale
// when it was given new keys meanwhile.
[[nodiscard]] Result<std::unique_ptr<ReadTransaction>> begin_reading(
    std::shared_ptr<Environment> environment, const Sealer& sealer);
[[nodiscard]] Result<std::unique_ptr<WriteTransaction>> begin_writing(
    std::shared_ptr<Environment> environment, const Sealer& sealer);

// in_table adds the table's name to an error that does not say where.
[[nodiscard]] Error in_table(Error error, Table table);

// get_row reads and decodes one row, or nothing.
template <typename Row>
[[nodiscard]] Result<std::optional<Row>> get_row(const Transaction& transaction,
                                                 const Sealer& sealer, const RowKey& key) {
  FUGO_ASSIGN(const auto sealed, transaction.get(key.bytes()));
  if (!sealed) return std::optional<Row>{};
  FUGO_ASSIGN(const WipedBytes content, sealer.open(key.bytes(), *sealed));
  auto row = decode_row<Row>(content.bytes());
  if (!row) return tl::unexpected(in_table(std::move(row).error(), key.table()));
  return std::optional<Row>{std::move(*row)};
}

// scan_rows decodes the rows of a table in order of their keys, from `from` on.
template <typename Row>
[[nodiscard]] Status scan_rows(const Transaction& transaction, const Sealer& sealer,
                               const RowKey& from,
                               const std::function<Result<bool>(Row&& row)>& visit) {
  const RowKey prefix(from.table());
  return transaction.scan(prefix.bytes(), from.bytes(),
                          [&](ByteView key, ByteView sealed) -> Result<bool> {
                            FUGO_ASSIGN(const WipedBytes content, sealer.open(key, sealed));
                            auto row = decode_row<Row>(content.bytes());
                            if (!row)
                              return tl::unexpected(in_table(std::move(row).error(), from.table()));
                            return visit(std::move(*row));
                          });
}

// all_rows reads a whole table.
template <typename Row>
[[nodiscard]] Result<std::vector<Row>> all_rows(const Transaction& transaction,
                                                const Sealer& sealer, Table table) {
  std::vector<Row> rows;
  FUGO_TRY(scan_rows<Row>(transaction, sealer, RowKey(table), [&](Row&& row) -> Result<bool> {
    rows.push_back(std::move(row));
    return true;
  }));
  return rows;
}

// all_patches reads all patches, ascending by (id, generation).
[[nodiscard]] Result<std::vector<PersonPatch>> all_patches(const Transaction& transaction,
                                                           const Sealer& sealer);

// read_state reads the state row; kDamaged when it is missing or does not open.
[[nodiscard]] Result<LedgerState> read_state(const Transaction& transaction, const Sealer& sealer);

// RowWriter changes rows within a write transaction and keeps LedgerState's counts and digest of
// rows in step. One thread.
class RowWriter {
 public:
  RowWriter(WriteTransaction& transaction, const Sealer& sealer, LedgerState& state)
      : transaction_(transaction), sealer_(&sealer), state_(state) {}
  // use makes it go on with another sealer.
  void use(const Sealer& sealer) { sealer_ = &sealer; }

  template <typename Row>
  [[nodiscard]] Status put(const RowKey& key, const Row& row) {
    auto content = encode_row(row);
    if (!content) return tl::unexpected(in_table(std::move(content).error(), key.table()));
    return put_content(key, content->bytes());
  }
  template <typename Row>
  [[nodiscard]] Status put(const Row& row) {
    return put(key_of(row), row);
  }
  [[nodiscard]] Status erase(const RowKey& key);
  // write_state stores the state itself; the last thing before the commit.
  [[nodiscard]] Status write_state();

 private:
  [[nodiscard]] Status put_content(const RowKey& key, ByteView content);
  [[nodiscard]] Result<bool> take_out(const RowKey& key);  // whether there was a row

  WriteTransaction& transaction_;
  const Sealer* sealer_;
  LedgerState& state_;
};

}  // namespace fugo::keystore
