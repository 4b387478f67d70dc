// What goes on beside a regeneration: a daemon that is given requests without end, and a process
// that links without end.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/link/linking.h"
#include "tests/daemon/link/linked_site.h"
#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {

// Linked is what linking answers for one symbol.
struct Linked {
  engine::LinkStatus status = engine::LinkStatus::kUnavailable;
  keystore::Generation version = 0;
  std::string symbol;  // empty: none
  friend bool operator==(const Linked&, const Linked&) = default;
  friend bool operator<(const Linked& a, const Linked& b) {
    return std::tie(a.status, a.version, a.symbol) < std::tie(b.status, b.version, b.symbol);
  }
};
void PrintTo(const Linked& linked, std::ostream* out);

[[nodiscard]] Linked link_text(engine::Linking& linking, const std::string& symbol,
                               const std::string& from, const std::string& to);

// Work puts requests into the daemon's inbox, each when the one before was answered: residents who
// are new, a change of code, a deletion; a round is one of each. It has a thread of its own, and is
// the site's only user that gives requests.
class Work {
 public:
  explicit Work(LinkedSite& site) : site_(site), thread_([this] { run(); }) {}
  ~Work() { stop(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  void stop();
  [[nodiscard]] std::uint64_t rounds() const { return rounds_; }
  // more waits until so many rounds more are over.
  void more(std::uint64_t rounds) const;

  // After stop(): symbols as they were answered, by agency and resident, those of who is gone too.
  [[nodiscard]] const Symbols& symbols() const { return symbols_; }
  [[nodiscard]] const std::set<std::size_t>& changed() const { return changed_; }
  [[nodiscard]] const std::set<std::size_t>& deleted() const { return deleted_; }

 private:
  void run();
  void issue(std::size_t first, std::size_t count);
  void change(std::size_t from, std::size_t to);
  void erase(std::size_t resident);
  [[nodiscard]] std::filesystem::path answers(const std::string& id, const std::string& text);

  LinkedSite& site_;
  Symbols symbols_;
  std::set<std::size_t> changed_, deleted_;
  unsigned requests_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::thread thread_;  // last
};

// Phase is how far the regeneration is, as far as linking can tell.
enum class Phase : std::uint8_t { kBefore, kCommitting, kBoth, kFinishing, kAfter };

// Asker links symbols of residents with whom nothing happens, from two threads, through one Linking
// that is opened once, and compares every answer with what the phases allow in which it was asked.
class Asker {
 public:
  Asker(const LinkedSite& site, Symbols old);
  ~Asker() { stop(); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  // enter: from now on it is so. `now` are the new symbols, given when phase kBoth begins.
  void enter(Phase phase) { phase_ = phase; }
  void enter_both(Symbols now);
  void stop();
  // more waits until so many answers more have come.
  void more(std::uint64_t answers) const;
  [[nodiscard]] engine::Linking& linking() { return *linking_; }

 private:
  void run(std::uint64_t seed);
  [[nodiscard]] std::set<Linked> allowed(Phase from, Phase to, const std::string& agency,
                                         std::size_t resident) const;

  const Symbols old_;
  Symbols now_;  // constant from kBoth on
  std::atomic<Phase> phase_{Phase::kBefore};
  std::unique_ptr<engine::Linking> linking_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> answers_{0};
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> early_;  // agency, symbol: new ones of kCommitting
  std::vector<std::thread> threads_;                     // last
};

}  // namespace fugo::test
