// Delivery: all resident codes again, as request files of kind issue.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "daemon/files/agency_table.h"
#include "daemon/files/answer_file.h"
#include "daemon/files/request.h"
#include "engine/site.h"

namespace fugo::daemon {

// Delivery is request files that are read for their resident codes alone: nothing is issued by
// them, and they stay where they are. Each is looked at whole before anything is made, by the rules
// of every request; rows that those reject are counted and left out. Those that are encrypted are
// opened again whenever they are read, one at a time: each is in memory as a whole.
class Delivery {
 public:
  static constexpr std::uint32_t kRowsAtOnce = 1U << 20U;

  [[nodiscard]] static Result<std::unique_ptr<Delivery>> open(
      engine::Site& site, const std::vector<std::filesystem::path>& files, bool check_digits,
      const ExchangeRules& exchange, const std::filesystem::path& temporary_directory);

  // for_each_code gives all codes, at most kRowsAtOnce at a time; it can be called again.
  using TakeCodes = std::function<Status(std::span<const std::uint64_t> codes)>;
  [[nodiscard]] Status for_each_code(const TakeCodes& take);

  [[nodiscard]] std::uint64_t rejected() const { return rejected_; }
  // rows is how many codes it gives.
  [[nodiscard]] std::uint64_t rows() const { return rows_; }
  // content is the same for the same files in the same order, and for no others; nobody without the
  // issuing token can guess codes by it.
  [[nodiscard]] Result<Sha256> content() const;
  // SealedFile is one that is encrypted: who signed it, and the SHA-256 of the file as it lies
  // there.
  struct SealedFile {
    RequestSender sender;
    Sha256 sha256{};
  };
  // sealed_files are those that are encrypted, in the order of the files.
  [[nodiscard]] const std::vector<SealedFile>& sealed_files() const { return sealed_; }
  // clear_files is how many are not. They have no hash: one of few codes could be guessed by it.
  [[nodiscard]] std::size_t clear_files() const { return files_.size() - sealed_.size(); }

 private:
  Delivery() = default;
  struct File {
    std::filesystem::path path;
    std::unique_ptr<Request> request;  // null of one that is encrypted, between readings
    Survey survey;
    Sha256 text{};  // of one that is encrypted: what was in it when it was looked at
  };
  [[nodiscard]] Status look_at(engine::Site& site, const std::filesystem::path& path,
                               const std::filesystem::path& temporary_directory);
  [[nodiscard]] Status read(const File& file, Request& request, const TakeCodes& take) const;
  RequestOpening opening_;
  AgencyTable agencies_;
  RowRules rules_;
  std::vector<File> files_;
  std::vector<SealedFile> sealed_;
  SecretBytes<32> content_key_;
  std::vector<std::uint8_t> contents_;  // HMAC of each file
  std::uint64_t rejected_ = 0, rows_ = 0;
};

// journal_delivery writes the entry `regenerate.delivery`, before the first code is put to the HSM:
// whose codes the people of `run` from here on are made of, and how many. What a delivery tells is
// which codes are unknown, so that a day's deliveries of different content together may have as
// many rows as there are people, and a tenth more, or as `rows_per_day` where that is more:
// kRefused beyond. One that was let in before, in this run or today, costs nothing.
[[nodiscard]] Status journal_delivery(const keystore::Ledger& ledger, keystore::Update& update,
                                      const Delivery& delivery, const keystore::RunRow& run,
                                      const keystore::Actor& actor, std::uint64_t rows_per_day);

}  // namespace fugo::daemon
