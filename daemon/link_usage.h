// The spool of uses: a process that links may not write the ledger, so it leaves counts of what
// was asked in files, and fugod journals them. Format and life: docs/exactly-once.md.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/link/linking.h"

namespace fugo::daemon {

// The folder beside the configuration, unless [linking] usage names another. Shared with a linking
// group its mode is 3770: members make files, and only the owner of one, or of the folder, which is
// the daemon's account, removes it.
inline constexpr const char* kLinkUsageFolder = "link-usage";
inline constexpr unsigned kLinkUsageMode = 03770;

// A file is called use-20261121T030405Z-<process>-<16 random letters>.json when it is whole; other
// names begin with a dot. It holds at most so many agencies, so that each fits an entry of the
// journal.
inline constexpr std::string_view kUsePrefix = "use-", kUseSuffix = ".json";
inline constexpr std::size_t kMostAgenciesInFile = 500;
inline constexpr std::size_t kMostKeysInFile = 100;
inline constexpr std::size_t kMostUseFileBytes = 64 * 1024;

// UsageSummary is the content of one file. It names agencies, never a symbol or a person.
struct UsageSummary {
  std::string program;        // 1 to 64 of 0-9A-Za-z._ and space and -
  std::int64_t process = 0;   // its number
  std::int64_t from = 0;      // seconds since 1970: since when ...
  std::int64_t to = 0;        // ... and until when it was counted
  std::string operator_name;  // who ran the program, where it knows; else empty
  std::string order;          // number of the work order, or empty
  std::vector<engine::LinkUse> uses;
  keystore::BlockCounts blocks{};  // evaluated for them and others, as the process says
};

// is_use_name tells whether a file has a name that UsageSpool gives.
[[nodiscard]] bool is_use_name(std::string_view name);

// encode_summary and decode_summary: JSON. kRefused, saying why but not repeating anything, for
// what encode_summary would not have written.
[[nodiscard]] std::string encode_summary(const UsageSummary& summary);
[[nodiscard]] Result<UsageSummary> decode_summary(std::string_view text);

// UsageSpool writes summaries for one process. Thread-safe. A program that links calls write()
// about once a minute and once when it ends, with what Linking::take_uses() gave:
//
//   auto spool = UsageSpool::open(settings.link_usage, "core");
//   spool->write(linking.take_uses(), from, unix_now());
class UsageSpool {
 public:
  // open checks that files can be made in `folder`; where it is absent it is made, mode 0700, for a
  // site of one account. `program` is cut to what a summary may hold.
  [[nodiscard]] static Result<std::unique_ptr<UsageSpool>> open(
      const std::filesystem::path& folder, std::string_view program,
      const std::string& operator_name = {}, const std::string& order = {});

  // write leaves a file of these uses and blocks, counted from `from` to `to` (seconds since 1970),
  // which is durable when it returns; nothing when nothing was asked: blocks go with the next uses.
  // After an error the counts are kept and
  // go with the next call, so the caller must not give them again. Uses without an agency's code or
  // with more answers than questions are left out, which is kInternal; the others are written.
  // kRefused in a forked child.
  [[nodiscard]] Status write(std::span<const engine::LinkUse> uses, std::int64_t from,
                             std::int64_t to, const keystore::BlockCounts& blocks = {});

 private:
  UsageSpool() = default;
  // write_file makes one file; its name is not synced yet.
  [[nodiscard]] Status write_file(const UsageSummary& summary) const;

  std::filesystem::path folder_;
  UsageSummary head_;  // what all summaries of this process have in common
  pid_t process_ = 0;

  std::mutex mutex_;                   // guards what follows
  std::vector<engine::LinkUse> kept_;  // of calls that failed, by agency
  std::int64_t kept_from_ = 0;
  keystore::BlockCounts kept_blocks_;
};

}  // namespace fugo::daemon
