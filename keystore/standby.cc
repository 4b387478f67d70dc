#include "keystore/standby.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "keystore/ledger_impl.h"

namespace fugo::keystore {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

// Set while begin_standby begins a transaction, which belongs to one thread.
thread_local bool standing_by_is_known = false;

Bytes bytes_of(ByteView view) { return {view.begin(), view.end()}; }

bool same(const std::optional<ByteView>& there, ByteView value) {
  return there && std::equal(there->begin(), there->end(), value.begin(), value.end());
}

// RowChanges are what makes one ledger's rows another's. They are gathered first: LMDB's views of
// values are good only until the next change.
struct RowChanges {
  std::vector<std::pair<Bytes, Bytes>> put;
  std::vector<Bytes> erase;

  [[nodiscard]] Status gather(const Transaction& from, const Transaction& to) {
    FUGO_TRY(from.scan({}, {}, [&](ByteView key, ByteView value) -> Result<bool> {
      FUGO_ASSIGN(const auto there, to.get(key));
      if (!same(there, value)) put.emplace_back(bytes_of(key), bytes_of(value));
      return true;
    }));
    return to.scan({}, {}, [&](ByteView key, ByteView) -> Result<bool> {
      FUGO_ASSIGN(const auto there, from.get(key));
      if (!there) erase.push_back(bytes_of(key));
      return true;
    });
  }
};

}  // namespace

bool stands_by(const fs::path& ledger) {
  return ::access((ledger / kStandbyMark).c_str(), F_OK) == 0 || errno != ENOENT;
}

Status check_serves(const fs::path& ledger) {
  if (!stands_by(ledger)) return {};
  return fail(ErrorCode::kRefused, "this ledger stands by: another site's is the one that counts",
              (ledger / kStandbyMark).string(),
              "fugo status tells which; fugo takeover makes this the one");
}

Status check_serves_now(const fs::path& ledger) {
  return standing_by_is_known ? Status{} : check_serves(ledger);
}

Result<UniqueFd> take_ship_lock(const fs::path& ledger) {
  return take_lock(ledger, "ship.lock", "another process sends to the second site");
}

Result<std::unique_ptr<Ledger>> open_standby(const fs::path& directory,
                                             const SecretBytes<32>& data_key) {
  LedgerImpl::Parts parts;
  parts.directory = directory;
  parts.access = Access::kAppend;
  FUGO_ASSIGN(parts.environment, Environment::open(directory, OpenMode::kWrite));
  return LedgerImpl::open(std::move(parts), data_key);
}

Result<std::unique_ptr<Update>> begin_standby(Ledger& ledger) {
  auto* implementation = dynamic_cast<LedgerImpl*>(&ledger);
  if (implementation == nullptr)
    return fail(ErrorCode::kInternal, "another kind of ledger", "begin_standby");
  const auto& parts = implementation->parts();
  standing_by_is_known = true;
  auto update = SmallRowUpdate::begin(parts.environment, parts.sealer);
  standing_by_is_known = false;
  FUGO_TRY(update.map([](auto&&) {}));
  return std::unique_ptr<Update>(std::move(*update));
}

Status adopt_rows(const fs::path& from, const fs::path& to) {
  FUGO_ASSIGN(const auto source, Environment::open(from, OpenMode::kRead));
  FUGO_ASSIGN(const auto target, Environment::open(to, OpenMode::kWrite));
  FUGO_ASSIGN(const auto reading, ReadTransaction::begin(source));
  FUGO_ASSIGN(const auto writing, WriteTransaction::begin(target));
  if (!stands_by(to))
    return fail(ErrorCode::kRefused, "does not stand by", to.string(), "it has taken over");
  RowChanges changes;
  FUGO_TRY(changes.gather(*reading, *writing));
  const RowKey header(Table::kHeader);
  FUGO_ASSIGN(const auto old_header, writing->get(header.bytes()));
  FUGO_ASSIGN(const auto new_header, reading->get(header.bytes()));
  if (!new_header) return fail(ErrorCode::kDamaged, "has no header", from.string());
  // Under new keys every row is another: more pages than are set aside for a small change.
  if (!same(old_header, *new_header)) FUGO_TRY(writing->make_room_for_all());
  for (const auto& key : changes.erase) FUGO_TRY(writing->erase(key));
  for (const auto& [key, value] : changes.put) FUGO_TRY(writing->put(key, value));
  return writing->commit();
}

}  // namespace fugo::keystore
