// What linking may answer while other processes change the ledger.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

// StormModel knows of each resident and agency what was committed before a moment, what is about
// to be, and so which answers a call may give that began and ended at two moments. One thread
// writes it, beside the process that changes the ledger: `begin` before, `end` afterwards. Any
// number of threads read it.
class StormModel {
 public:
  static constexpr std::size_t kMost = 60'000, kAgencies = 4;
  // Steps go up only. What is at an odd one may have been committed or not.
  enum Issue : std::uint8_t { kNone = 0, kIssuing = 1, kIssued = 2 };
  enum Life : std::uint8_t { kAlive = 0, kLeaving = 1, kGone = 2 };

  // Moment is what was known of one item, and of freezes, at some time.
  struct Moment {
    std::uint8_t life = kAlive, to = kNone, erased = 0;
    std::uint32_t freezes = 0;
  };

  StormModel() : people_(std::make_unique<Person[]>(kMost)) {}

  // For readers. published: residents below it have at least one symbol.
  [[nodiscard]] std::size_t published() const { return published_.load(std::memory_order_acquire); }
  [[nodiscard]] bool issued(std::size_t resident, std::size_t agency) const {
    return people_[resident].issued[agency].load(std::memory_order_acquire) == kIssued;
  }
  [[nodiscard]] bool alive(std::size_t resident) const {
    return people_[resident].life.load(std::memory_order_acquire) == kAlive;
  }
  [[nodiscard]] const Block& symbol(std::size_t resident, std::size_t agency) const {
    return people_[resident].symbols[agency];  // of one who was issued
  }
  [[nodiscard]] Moment now(std::size_t resident, std::size_t to) const;
  // wrong tells what is wrong with an answer for a resident who was found by a symbol or handle, or
  // nothing. `linked` is compared where the symbol is known by now.
  [[nodiscard]] std::string wrong(std::size_t resident, std::size_t to, const Moment& before,
                                  engine::LinkStatus status, const Block& linked) const;
  // wrong_of_nobody is the same for a symbol that nobody has.
  [[nodiscard]] static std::string wrong_of_nobody(const Moment& before, const Moment& after,
                                                   engine::LinkStatus status);

  // For the writer.
  void begin_issue(std::size_t resident, std::size_t agency);
  void end_issue(std::size_t resident, std::size_t agency, const Block& symbol);
  void begin_leaving(std::size_t resident, bool by_change);
  void end_leaving(std::size_t resident);
  // Of one who was changed before: goes with the person that it was changed into.
  void set_erased(std::size_t resident, std::uint8_t step) { people_[resident].erased = step; }
  void publish(std::size_t residents) { published_.store(residents, std::memory_order_release); }
  // Steps of freezing: thawed, freezing, frozen, thawing, thawed, ...
  void next_freeze() { freezes_.fetch_add(1); }

 private:
  struct Person {
    std::atomic<std::uint8_t> life{kAlive};
    std::atomic<bool> by_change{false};
    std::atomic<std::uint8_t> erased{0};  // 1: being erased, 2: erased
    std::array<std::atomic<std::uint8_t>, kAgencies> issued{};
    std::array<Block, kAgencies> symbols{};
  };
  const std::unique_ptr<Person[]> people_;
  std::atomic<std::size_t> published_{0};
  std::atomic<std::uint32_t> freezes_{0};
};

}  // namespace fugo::test
