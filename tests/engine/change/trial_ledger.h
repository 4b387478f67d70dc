// A ledger of its own beside real tokens, for tests of change and deletion.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/change/eraser.h"
#include "engine/change/segment_changer.h"
#include "engine/issue/segment_issuer.h"
#include "engine/resolve.h"
#include "engine/site.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::engine::testing {

#define ASSERT_OK(expr)                                                \
  do {                                                                 \
    const auto& ok_result = (expr);                                    \
    ASSERT_TRUE(ok_result.has_value()) << ok_result.error().message(); \
  } while (false)

// must gives a result's value; an error ends the test program's test by an exception.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

using Codes = std::vector<std::uint64_t>;

// Pair and Dead are outcomes as plain values.
struct Pair {
  keystore::AgencyNumber agency = 0;
  Block before, after;
  friend bool operator==(const Pair&, const Pair&) = default;
};

// Changed is a change's outcome as plain values.
struct Changed {
  std::vector<ChangeResult> results;
  std::vector<Pair> agencies, records;
  keystore::SegmentRow segment;
  friend bool operator==(const Changed& a, const Changed& b) {
    return a.results == b.results && a.agencies == b.agencies && a.records == b.records;
  }
};

// Erased is a deletion's outcome as plain values.
struct Erased {
  std::vector<EraseResult> results;
  std::vector<std::pair<keystore::AgencyNumber, Block>> agencies;
  std::vector<Block> records;
  std::uint64_t people = 0, issuances = 0;
};

// TrialLedger is a new ledger of the tokens of shared_tokens(), with agencies 1 to `agencies`
// named "A1" and so on, the second by xts-aes256. All functions throw where a test cannot go on.
class TrialLedger {
 public:
  explicit TrialLedger(std::uint8_t linkage_method = 1, keystore::AgencyNumber agencies = 4);
  ~TrialLedger();

  [[nodiscard]] Site& site() { return *site_; }
  [[nodiscard]] std::filesystem::path directory() const { return directory_.path() / "ledger"; }
  // reopen closes the site and opens it again.
  void reopen();
  void close() { site_.reset(); }

  // issue runs a job of one segment: agencies[i] asks for codes[i].
  std::vector<RowResult> issue(const Codes& codes,
                               const std::vector<keystore::AgencyNumber>& agencies);
  // symbols are what an agency has for codes, issued before.
  std::vector<Block> symbols(keystore::AgencyNumber agency, const Codes& codes);
  Changed change(const Codes& old_codes, const Codes& new_codes, bool join = false);
  // answer makes the outcome of a change again.
  Result<Changed> answer(const Codes& old_codes, const Codes& new_codes,
                         const keystore::SegmentRow& segment);
  // The same without the rows.
  Result<Changed> answer_without_rows(const keystore::SegmentRow& segment);
  Erased erase(const Codes& codes);
  // erase_found only finds.
  Erased find(const Codes& codes);
  std::vector<LinkItem> link(keystore::AgencyNumber from, keystore::AgencyNumber to,
                             const std::vector<Block>& symbols);
  // regenerate runs and commits a regeneration of what the bits kRun... say, twice at most. With
  // new agency keys every agency gets a new parameter.
  void regenerate(std::uint8_t what);
  // retire ends it: the symbols of the generation before are not accepted any more.
  void retire();
  void set_agency(keystore::AgencyNumber number, keystore::AgencyState state);
  std::string digest();
  // verify gives everything that verify_tables and verify_content find; empty: nothing.
  std::string verify();

 private:
  keystore::JobRow start(keystore::JobKind kind, std::uint64_t rows);
  void finish(keystore::JobRow job);

  hsm::testing::ScratchDirectory directory_;
  std::unique_ptr<Site> site_;
  int jobs_ = 0;
};

// retire_older makes a ledger accept the active generation alone, and removes the others' files.
void retire_older(Site& site);

}  // namespace fugo::engine::testing
