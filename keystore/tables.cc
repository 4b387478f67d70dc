#include "keystore/tables.h"

#include <algorithm>

#include "keystore/standby.h"

namespace fugo::keystore {
namespace {

constexpr std::array<const char*, kTableCount> kNames{
    "(none)",  "header",   "state",   "manifest", "agencies",   "keys", "generations",     "jobs",
    "job ids", "segments", "journal", "patches",  "statistics", "runs", "agencies of runs"};

}  // namespace

const char* table_name(Table table) {
  const auto number = static_cast<std::size_t>(table);
  return kNames[number < kNames.size() ? number : 0];
}

RowKey RowKey::with_hash(const std::array<std::uint8_t, 32>& hash) const {
  RowKey longer = *this;
  std::copy_n(hash.begin(), 16, longer.bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  longer.size_ += 16;
  return longer;
}

Error in_table(Error error, Table table) {
  const std::string place = std::string("ledger, table ") + table_name(table);
  error.where = error.where.empty() ? place : place + ", " + error.where;
  return error;
}

// Associated data: schema, ledger id, and the key as it stands in LMDB, table first. The state
// row's also holds the header's row, which is not sealed itself: so a changed header is found.
std::vector<std::uint8_t> Sealer::associated(ByteView key) const {
  const bool is_state = key[0] == static_cast<std::uint8_t>(Table::kState);
  const auto& id = keys_->ledger_id().bytes;
  std::vector<std::uint8_t> data(4 + id.size() + key.size() + (is_state ? header_.size() : 0));
  store_be<std::uint32_t>(data.data(), kSchemaVersion);
  auto at = std::copy(id.begin(), id.end(), data.begin() + 4);
  at = std::copy(key.begin(), key.end(), at);
  if (is_state) std::copy(header_.begin(), header_.end(), at);
  return data;
}

Result<std::vector<std::uint8_t>> Sealer::seal(ByteView key, ByteView content) const {
  const auto data = associated(key);
  const std::array<ByteView, 1> parts{data};
  return siv_seal(keys_->seal(), parts, content);
}

Result<WipedBytes> Sealer::open(ByteView key, ByteView sealed) const {
  const auto data = associated(key);
  const std::array<ByteView, 1> parts{data};
  auto content = siv_open(keys_->seal(), parts, sealed);
  if (!content)
    return tl::unexpected(in_table(std::move(content).error(), static_cast<Table>(key[0])));
  return content;
}

Result<DigestSum> Sealer::row_element(ByteView key, ByteView sealed) const {
  const std::array<std::uint8_t, 1> length{static_cast<std::uint8_t>(key.size())};
  const std::array<ByteView, 4> parts{as_bytes("fugo row"), length, key, sealed};
  FUGO_ASSIGN(const auto mac, hmac_sha256(keys_->digest().bytes(), parts));
  DigestSum element;
  for (std::size_t i = 0; i < 4; ++i) element.limbs[3 - i] = load_be<std::uint64_t>(&mac[8 * i]);
  return element;
}

Result<RowKey> Sealer::hashed_key(Table table, ByteView text) const {
  const std::array<std::uint8_t, 1> number{static_cast<std::uint8_t>(table)};
  const std::array<ByteView, 3> parts{as_bytes("fugo key"), number, text};
  FUGO_ASSIGN(const auto mac, hmac_sha256(keys_->request().bytes(), parts));
  return RowKey(table).with_hash(mac);
}
Result<RowKey> Sealer::job_id_key(const std::string& id) const {
  return hashed_key(Table::kJobIds, as_bytes(id));
}
Result<RowKey> Sealer::day_key(const std::string& day) const {
  return hashed_key(Table::kStats, as_bytes(day));
}
Result<RowKey> Sealer::patch_prefix(PersonId id) const {
  std::array<std::uint8_t, sizeof(id)> number{};
  store_be<PersonId>(number.data(), id);
  return hashed_key(Table::kPatches, number);
}
Result<RowKey> Sealer::patch_key(const PersonPatch& row) const {
  FUGO_ASSIGN(const RowKey prefix, patch_prefix(row.id));
  return prefix.with(row.generation);
}

Status Sealer::check_header(const Transaction& transaction) const {
  FUGO_ASSIGN(const auto stored, transaction.get(RowKey(Table::kHeader).bytes()));
  if (stored && std::equal(stored->begin(), stored->end(), header_.begin(), header_.end()))
    return {};
  if (!stored)
    return fail(ErrorCode::kDamaged, "the header of the ledger is missing", "ledger, table header",
                "restore a backup");
  FUGO_TRY(decode_header(*stored).map([](auto&&) {}));
  return fail(ErrorCode::kStale, "the ledger has new keys", "ledger, table header",
              "it is opened again");
}

Result<std::unique_ptr<ReadTransaction>> begin_reading(std::shared_ptr<Environment> environment,
                                                       const Sealer& sealer) {
  FUGO_ASSIGN(auto transaction, ReadTransaction::begin(std::move(environment)));
  FUGO_TRY(sealer.check_header(*transaction));
  return transaction;
}

Result<std::unique_ptr<WriteTransaction>> begin_writing(std::shared_ptr<Environment> environment,
                                                        const Sealer& sealer) {
  const auto directory = environment->directory();
  FUGO_ASSIGN(auto transaction, WriteTransaction::begin(std::move(environment)));
  // Looked for under LMDB's lock: whoever hands over makes the mark under it too.
  FUGO_TRY(check_serves_now(directory));
  FUGO_TRY(sealer.check_header(*transaction));
  return transaction;
}

Result<std::vector<PersonPatch>> all_patches(const Transaction& transaction, const Sealer& sealer) {
  FUGO_ASSIGN(auto rows, all_rows<PersonPatch>(transaction, sealer, Table::kPatches));
  std::sort(rows.begin(), rows.end(), [](const PersonPatch& a, const PersonPatch& b) {
    return std::pair(a.id, a.generation) < std::pair(b.id, b.generation);
  });
  return rows;
}

Result<LedgerState> read_state(const Transaction& transaction, const Sealer& sealer) {
  FUGO_ASSIGN(auto state, get_row<LedgerState>(transaction, sealer, RowKey(Table::kState)));
  if (!state)
    return fail(ErrorCode::kDamaged, "the state of the ledger is missing", "ledger, table state",
                "restore a backup");
  if (state->table_rows.size() != kTableCount)
    return fail(ErrorCode::kDamaged, "the state counts another number of tables",
                "ledger, table state", "restore a backup");
  return std::move(*state);
}

Result<bool> RowWriter::take_out(const RowKey& key) {
  FUGO_ASSIGN(const auto old, transaction_.get(key.bytes()));
  if (!old) return false;
  FUGO_ASSIGN(const DigestSum element, sealer_->row_element(key.bytes(), *old));
  state_.rows_digest.subtract(element);
  return true;
}

Status RowWriter::put_content(const RowKey& key, ByteView content) {
  FUGO_ASSIGN(const auto sealed, sealer_->seal(key.bytes(), content));
  FUGO_ASSIGN(const bool replaced, take_out(key));
  FUGO_ASSIGN(const DigestSum element, sealer_->row_element(key.bytes(), sealed));
  state_.rows_digest.add(element);
  if (!replaced) ++state_.table_rows[static_cast<std::size_t>(key.table())];
  return transaction_.put(key.bytes(), sealed);
}

Status RowWriter::erase(const RowKey& key) {
  FUGO_ASSIGN(const bool there, take_out(key));
  if (there) --state_.table_rows[static_cast<std::size_t>(key.table())];
  return transaction_.erase(key.bytes());
}

Status RowWriter::write_state() {
  const RowKey key(Table::kState);
  FUGO_ASSIGN(const WipedBytes content, encode_row(state_));
  FUGO_ASSIGN(const auto sealed, sealer_->seal(key.bytes(), content.bytes()));
  return transaction_.put(key.bytes(), sealed);
}

}  // namespace fugo::keystore
