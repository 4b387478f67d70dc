// What ledger_crash_test.cc runs under faults: one act on a ledger of LedgerPlace's data key.
//   ledger_probe DIRECTORY merge      merges all that is due
//   ledger_probe DIRECTORY delete     deletes the people of deleted_people()
//   ledger_probe DIRECTORY read       has it open for reading until its input ends
//   ledger_probe DIRECTORY rekey      gives a RealLedger its second data key
#include <fcntl.h>

#include <cstdio>
#include <string>

#include "base/file.h"
#include "tests/keystore/ledger_deletion.h"
#include "tests/keystore/real_ledger.h"

namespace fugo::keystore {
namespace {

Status give_new_keys(const std::filesystem::path& directory) {
  FUGO_ASSIGN(const LedgerHeader header, Ledger::read_header(directory));
  if (header.wrap_key_version == 2)  // it was committed: opening takes away what is left
    return Ledger::open(directory, Access::kWrite, second_data_key()).map([](auto&&) {});
  FUGO_ASSIGN(const auto ledger, Ledger::open(directory, Access::kWrite, test_data_key()));
  FUGO_ASSIGN(const auto staging, Staging::open(*ledger));
  return rekey(*ledger, *staging, rekey_data());
}

Status read(const std::filesystem::path& directory) {
  FUGO_ASSIGN(const auto ledger, Ledger::open(directory, Access::kRead, test_data_key()));
  FUGO_TRY(ledger->state().map([](auto&&) {}));
  FUGO_ASSIGN(const auto ready, open_file(directory / "read", O_WRONLY | O_CREAT, 0600));
  while (std::getchar() != EOF) {
  }
  return {};
}

Status run(const std::filesystem::path& directory, const std::string& act) {
  if (act == "read") return read(directory);
  if (act == "rekey") return give_new_keys(directory);
  FUGO_ASSIGN(const auto ledger, Ledger::open(directory, Access::kWrite, test_data_key()));
  if (act == "merge") {
    FUGO_TRY(ledger->finish_merges());
    if (const auto warning = ledger->merge_warning()) return tl::unexpected(*warning);
    return {};
  }
  FUGO_ASSIGN(const LedgerState state, ledger->state());
  if (state.deleted_people != 0) return {};  // it was committed
  return delete_people(*ledger, deleted_people());
}

}  // namespace
}  // namespace fugo::keystore

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto done = fugo::keystore::run(argv[1], argv[2]);
  if (!done) std::fprintf(stderr, "%s\n", done.error().message().c_str());
  return done ? 0 : 1;
}
