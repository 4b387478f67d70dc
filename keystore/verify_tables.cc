#include "keystore/verify_tables.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <system_error>

#include "keystore/ledger_impl.h"
#include "keystore/verify_rules.h"

namespace fugo::keystore {
namespace {

// TableReader decodes every row and notes what is wrong with single rows.
class TableReader {
 public:
  TableReader(const Sealer& sealer, TableFindings& findings)
      : sealer_(sealer), findings_(findings) {}

  [[nodiscard]] Result<AllRows> read(const Transaction& transaction) {
    FUGO_TRY(transaction.scan({}, {}, [&](ByteView key, ByteView value) -> Result<bool> {
      FUGO_TRY(visit(key, value));
      return true;
    }));
    return std::move(rows_);
  }

 private:
  [[nodiscard]] Status visit(ByteView key, ByteView value) {
    if (key.empty() || key[0] == 0 || key[0] >= kTableCount) {
      findings_.add("a row of an unknown table", "ledger");
      return {};
    }
    const auto table = static_cast<Table>(key[0]);
    if (key[0] < kFirstCounted) {
      if (key.size() != 1) findings_.add("a second row", place(table));
      return {};  // header and state were read when the ledger was opened
    }
    ++rows_.counts[key[0]];
    FUGO_ASSIGN(const DigestSum element, sealer_.row_element(key, value));
    rows_.digest.add(element);
    auto content = sealer_.open(key, value);
    if (!content) return note(std::move(content).error());
    return decode(table, key, content->bytes());
  }

  // note keeps damage as a finding; anything else ends the reading.
  [[nodiscard]] Status note(Error error) {
    if (error.code != ErrorCode::kDamaged) return tl::unexpected(std::move(error));
    findings_.add(std::move(error));
    return {};
  }

  template <typename Row>
  [[nodiscard]] Status take(Table table, ByteView key, ByteView content, std::vector<Row>& rows,
                            const std::function<Result<RowKey>(const Row&)>& key_of_row) {
    auto row = decode_row<Row>(content);
    if (!row) return note(in_table(std::move(row).error(), table));
    FUGO_ASSIGN(const RowKey expected, key_of_row(*row));
    if (!std::equal(key.begin(), key.end(), expected.bytes().begin(), expected.bytes().end()))
      findings_.add("a row does not belong to its key", place(table));
    rows.push_back(std::move(*row));
    return {};
  }
  template <typename Row>
  [[nodiscard]] Status take(Table table, ByteView key, ByteView content, std::vector<Row>& rows) {
    return take<Row>(table, key, content, rows,
                     [](const Row& row) -> Result<RowKey> { return key_of(row); });
  }

  [[nodiscard]] Status decode(Table table, ByteView key, ByteView content) {
    switch (table) {
      case Table::kManifest:
        return take(table, key, content, rows_.files);
      case Table::kAgencies:
        return take(table, key, content, rows_.agencies);
      case Table::kKeys:
        return take(table, key, content, rows_.keys);
      case Table::kGenerations:
        return take(table, key, content, rows_.generations);
      case Table::kJobs:
        return take(table, key, content, rows_.jobs);
      case Table::kSegments:
        return take(table, key, content, rows_.segments);
      case Table::kJournal:
        return take(table, key, content, rows_.journal);
      case Table::kStats:
        return take<StatDay>(table, key, content, rows_.days,
                             [&](const StatDay& day) { return sealer_.day_key(day.day); });
      case Table::kJobIds:
        return job_id(key, content);
      case Table::kPatches:
        return take<PersonPatch>(table, key, content, rows_.patches,
                                 [&](const PersonPatch& row) { return sealer_.patch_key(row); });
      case Table::kRuns:
        return take(table, key, content, rows_.runs);
      case Table::kRunAgencies:
        return take(table, key, content, rows_.run_agencies);
      default:
        return {};
    }
  }

  [[nodiscard]] Status job_id(ByteView key, ByteView content) {
    auto row = decode_row<JobIdRow>(content);
    if (!row) return note(in_table(std::move(row).error(), Table::kJobIds));
    rows_.job_ids[{key.begin(), key.end()}] = row->number;
    return {};
  }

  const Sealer& sealer_;
  TableFindings& findings_;
  AllRows rows_;
};

void check_counts(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  for (std::size_t i = kFirstCounted; i < kTableCount; ++i)
    if (rows.counts[i] != state.table_rows[i])
      findings.add("there are " + std::to_string(rows.counts[i]) + " rows, and " +
                       std::to_string(state.table_rows[i]) + " were written",
                   place(static_cast<Table>(i)));
  if (rows.digest != state.rows_digest)
    findings.add("a row was changed, dropped or put back to an older value", "ledger");
}

// A file that a merge of another process took away meanwhile is no finding.
Status check_files(const LedgerImpl& ledger, const AllRows& rows, TableFindings& findings) {
  const auto directory = ledger.parts().directory / kBulkDirectory;
  for (const FileRow& row : rows.files) {
    const auto path = directory / bulk_file_name(row.number);
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    if (!error && bytes == row.bytes) continue;
    FUGO_ASSIGN(const auto transaction,
                begin_reading(ledger.parts().environment, *ledger.parts().sealer));
    FUGO_ASSIGN(const auto now, transaction->get(key_of(row).bytes()));
    if (!now) continue;
    if (!error)
      findings.add("is of another length than the manifest says", path.string());
    else if (error == std::errc::no_such_file_or_directory)
      findings.add("is missing", path.string());
    else
      return fail_errno("cannot read", path.string(), error.value());
  }
  return {};
}

}  // namespace

Result<std::vector<Error>> verify_tables(const Ledger& ledger) {
  const auto* implementation = dynamic_cast<const LedgerImpl*>(&ledger);
  if (implementation == nullptr)
    return fail(ErrorCode::kInternal, "this is not a ledger of ours", "verify_tables");
  const Sealer& sealer = *implementation->parts().sealer;
  TableFindings findings;
  FUGO_ASSIGN(auto transaction, begin_reading(implementation->parts().environment, sealer));
  auto state = read_state(*transaction, sealer);
  if (!state) {
    if (state.error().code != ErrorCode::kDamaged) return tl::unexpected(std::move(state).error());
    findings.add(std::move(state).error());
    return std::move(findings).take();
  }
  FUGO_ASSIGN(const AllRows rows, TableReader(sealer, findings).read(*transaction));
  transaction.reset();
  check_counts(rows, *state, findings);
  check_journal(rows, *state, findings);
  check_registries(rows, *state, findings);
  FUGO_TRY(check_jobs(rows, *state, sealer, findings));
  check_segments(rows, *state, findings);
  check_runs(rows, *state, findings);
  check_manifest(rows, *state, findings);
  check_patches(rows, *state, findings);
  check_statistics(rows, *state, findings);
  FUGO_TRY(check_files(*implementation, rows, findings));
  return std::move(findings).take();
}

}  // namespace fugo::keystore
