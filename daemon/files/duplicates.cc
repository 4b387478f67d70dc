#include "daemon/files/duplicates.h"

#include <sodium.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/parallel.h"
#include "daemon/files/row.h"

namespace fugo::daemon {
namespace {

// HashedRow stands for an accepted row.
struct HashedRow {
  std::uint64_t high = 0, low = 0, row = 0;
  friend bool operator<(const HashedRow& a, const HashedRow& b) {
    if (a.high != b.high) return a.high < b.high;
    if (a.low != b.low) return a.low < b.low;
    return a.row < b.row;
  }
};

// Share is the rows whose hash falls to one thread.
struct Share {
  std::mutex mutex;
  SortedRuns<HashedRow> rows;
};

class Finder {
 public:
  Finder(const Pieces& pieces, const SurveyOptions& options, Survey& survey)
      : pieces_(pieces),
        options_(options),
        survey_(survey),
        shares_(std::max<std::size_t>(options.threads, 1)) {
    for (auto& share : shares_)
      share.rows = SortedRuns<HashedRow>(options.temporary_directory,
                                         options.memory_in_bytes / shares_.size());
  }

  Status run() {
    FUGO_TRY(parallel_ranges(
        pieces_.count(), 1, shares_.size(),
        [this](std::size_t index, std::size_t, std::size_t) { return hash_piece(index); }));
    bits_.resize((survey_.rows + 63) / 64);
    FUGO_TRY(parallel_ranges(
        shares_.size(), 1, shares_.size(),
        [this](std::size_t share, std::size_t, std::size_t) { return mark(shares_[share]); }));
    if (!found_) return {};
    for (std::size_t i = 0; i < pieces_.count(); ++i) FUGO_TRY(reject_in_piece(i));
    survey_.duplicates = std::move(bits_);
    return {};
  }

 private:
  Status hash_piece(std::size_t index);
  Status mark(Share& share);
  Status reject_in_piece(std::size_t index);

  const Pieces& pieces_;
  const SurveyOptions& options_;
  Survey& survey_;
  std::vector<Share> shares_;
  std::vector<std::uint64_t> bits_;
  std::atomic<bool> found_{false};
};

HashedRow hash_row(const RequestRow& row, std::uint64_t number, const SecretBytes<32>& key) {
  std::array<std::uint8_t, 2 + kMaxProcessingNumberLength> text;
  store_be(text.data(), row.agency);
  std::memcpy(text.data() + 2, row.processing_number.data(), row.processing_number.size());
  std::array<std::uint8_t, crypto_shorthash_siphashx24_BYTES> hash;
  crypto_shorthash_siphashx24(hash.data(), text.data(), 2 + row.processing_number.size(),
                              key.data());
  return {load_be<std::uint64_t>(hash.data()), load_be<std::uint64_t>(hash.data() + 8), number};
}

Status Finder::hash_piece(std::size_t index) {
  FUGO_TRY(options_.going());
  static_assert(crypto_shorthash_siphashx24_KEYBYTES <= 32);
  constexpr std::size_t kBatch = 4096;
  std::vector<std::vector<HashedRow>> batches(shares_.size());
  const auto hand_over = [&](std::size_t i) -> Status {
    const std::lock_guard lock(shares_[i].mutex);
    for (const auto& row : batches[i]) FUGO_TRY(shares_[i].rows.add(row));
    batches[i].clear();
    return {};
  };
  Lines lines(pieces_.piece(index));
  std::string_view line;
  RequestRow row;
  std::uint64_t number = survey_.marks[index].row;
  for (; lines.next(line); ++number) {
    if (!check_row(line, options_.rules, row)) continue;
    const HashedRow hashed = hash_row(row, number, *options_.spill_key);
    const std::size_t share = hashed.low % shares_.size();
    batches[share].push_back(hashed);
    if (batches[share].size() == kBatch) FUGO_TRY(hand_over(share));
  }
  wipe_codes(row);
  for (std::size_t i = 0; i < shares_.size(); ++i) FUGO_TRY(hand_over(i));
  return {};
}

Status Finder::mark(Share& share) {
  HashedRow before;
  bool any = false;
  std::uint32_t seen = 0;
  return share.rows.for_each([&](const HashedRow& row) -> Status {
    constexpr std::uint32_t kBetweenAsking = 1U << 20U;
    if (++seen % kBetweenAsking == 0) FUGO_TRY(options_.going());
    if (any && row.high == before.high && row.low == before.low) {
      std::atomic_ref<std::uint64_t>(bits_[row.row / 64])
          .fetch_or(std::uint64_t{1} << (row.row % 64));
      found_ = true;
    }
    before = row;
    any = true;
    return {};
  });
}

Status Finder::reject_in_piece(std::size_t index) {
  FUGO_TRY(options_.going());
  const std::uint64_t first = survey_.marks[index].row;
  Lines lines(pieces_.piece(index));
  std::string_view line;
  RequestRow row;
  for (std::uint64_t number = first; lines.next(line); ++number) {
    if (((bits_[number / 64] >> (number % 64)) & 1U) == 0) continue;
    if (!check_row(line, options_.rules, row))
      return fail(ErrorCode::kRefused, "the request was changed while it was read");
    ++survey_.rejected_by_agency[row.agency];
    FUGO_TRY(survey_.rejects.add(
        {number + kFirstRowLine, RejectReason::kDuplicateProcessingNumber, row.processing_number}));
  }
  wipe_codes(row);
  return {};
}

}  // namespace

Status find_duplicates(const Pieces& pieces, const SurveyOptions& options, Survey& survey) {
  return Finder(pieces, options, survey).run();
}

}  // namespace fugo::daemon
