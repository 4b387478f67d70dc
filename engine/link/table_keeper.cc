#include "engine/link/table_keeper.h"

#include <vector>

#include "base/no_throw.h"
#include "base/quiet_signals.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;

constexpr std::chrono::milliseconds kEvery{200};
constexpr std::chrono::milliseconds kAgain{5000};  // after one that failed

}  // namespace

TableKeeper::~TableKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TableKeeper::start() {
  const QuietSignals quiet;
  thread_ = std::thread([this] { run(); });
}

Status TableKeeper::going() {
  const std::lock_guard lock(mutex_);
  if (stopping_) return fail(ErrorCode::kRefused, "the library is being closed");
  return {};
}

Status TableKeeper::build(const LinkView& view, std::span<const AgencyNumber> agencies,
                          const std::function<Status()>& keep_going) {
  const Registry& registry = *view.registry;
  Status done;
  for (const Accepted& accepted : registry.generations) {
    const keystore::GenerationRow& generation = accepted.row;
    const bool older = &generation != &registry.active();
    std::vector<AgencyNumber> wanted(agencies.begin(), agencies.end());
    if (wanted.empty())
      for (const auto& agency : registry.agencies) wanted.push_back(agency.number);
    std::erase_if(wanted, [&](AgencyNumber number) {
      const Method* method = registry.symbols->method_of(generation.number, number);
      return registry.find(number) == nullptr || method == nullptr || method->invertible ||
             (older && !registry.renewed(generation, number));
    });
    const auto built = index_.build_all(view, generation, wanted, keep_going);
    if (!built) done = built;
  }
  return done;
}

void TableKeeper::run() {
  for (std::unique_lock lock(mutex_); !stopping_;) {
    lock.unlock();
    const Status done = no_throw([&] { return freshen(); });
    lock.lock();
    if (stopping_) return;
    if (!done) note_(done.error());
    stop_.wait_for(lock, done ? kEvery : kAgain, [this] { return stopping_; });
  }
}

Status TableKeeper::freshen() {
  const std::uint64_t now = views_.last_transaction();
  if (now == fresh_) return {};
  Patience patience(settings_.patience);
  FUGO_ASSIGN(const auto view, views_.current(patience));
  const auto go_on = [this] { return going(); };
  Status done;
  if (settings_.index == IndexPolicy::kAhead && ahead_of_ != view->registry->version) {
    done = build(*view, {}, go_on);
    // What does not fit will not at the next attempt either.
    if (done || done.error().code == ErrorCode::kRefused) ahead_of_ = view->registry->version;
  }
  // Also those that a call made meanwhile that had begun before the generation was retired.
  index_.keep_only(*view->registry);
  FUGO_ASSIGN(const bool all, index_.refresh(*view, go_on));
  if (done && all) fresh_ = now;
  return done;
}

}  // namespace fugo::engine
