#include "engine/link/linking.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/parallel.h"
#include "engine/link/combiner.h"
#include "engine/link/link_uses.h"
#include "engine/link/link_view.h"
#include "engine/link/link_work.h"
#include "engine/link/own_process.h"
#include "engine/link/person_mask.h"
#include "engine/link/resolver_index.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::kNoPerson;

constexpr std::size_t kFew = 64;           // items of a call that is combined with others
constexpr std::size_t kCombined = 1024;    // most of such calls together
constexpr std::size_t kBatch = 1U << 18U;  // items of a piece of a large call
constexpr std::size_t kMostFew = 1024;     // calls that are not combined, at once
constexpr std::chrono::milliseconds kRefreshEvery{200};
constexpr std::chrono::seconds kRefreshAgain{5};  // after one that failed

// WorkPool lends LinkWorks of one capacity, at most `most` at a time: further callers wait, and
// give up after `patience` (kIo).
class WorkPool {
 public:
  WorkPool(std::size_t capacity, std::size_t most, std::chrono::milliseconds patience)
      : capacity_(capacity), most_(most), patience_(patience) {}

  Result<std::unique_ptr<LinkWork>> take() {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_for(lock, patience_, [this] { return lent_ < most_; }))
      return fail(ErrorCode::kIo, "other calls are still being answered");
    std::unique_ptr<LinkWork> work;
    if (!idle_.empty()) {
      work = std::move(idle_.back());
      idle_.pop_back();
    } else {
      FUGO_ASSIGN(work, LinkWork::create(capacity_));
    }
    ++lent_;
    return work;
  }
  void give_back(std::unique_ptr<LinkWork> work) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(work));
      --lent_;
    }
    returned_.notify_one();
  }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  const std::size_t capacity_, most_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<LinkWork>> idle_;
  std::size_t lent_ = 0;
};

class LinkingImpl final : public Linking {
 public:
  LinkingImpl(std::unique_ptr<Site> site, const LinkingSettings& settings, Calendar calendar)
      : settings_(settings),
        site_(std::move(site)),
        views_(*site_, settings.patience),
        index_(settings.index_bytes, settings.patience),
        uses_(settings.quota_per_day, std::move(calendar)),
        combiner_([this](std::span<LinkAsk> asks) { answer(asks, few_); }, 1U, kCombined,
                  settings.patience) {}

  ~LinkingImpl() override {
    {
      const std::lock_guard lock(stop_mutex_);
      stopping_ = true;
    }
    stop_.notify_all();
    if (refresher_.joinable()) refresher_.join();
  }

  Status start() {
    FUGO_TRY(views_.current().map([](const auto&) {}));
    refresher_ = std::thread([this] { keep_fresh(); });
    return {};
  }

  Result<std::optional<AgencyNumber>> find_agency(std::string_view code) override {
    const auto view = views_.current();
    if (!view) {
      note(view.error());
      return tl::unexpected(view.error());
    }
    const auto& numbers = (*view)->registry->numbers;
    const auto found = numbers.find(std::string(code));
    if (found == numbers.end()) return std::optional<AgencyNumber>();
    return std::optional<AgencyNumber>(found->second);
  }

  void resolve(std::span<const AgencyNumber> agencies, std::span<const Block> symbols,
               std::span<PersonHandle> people, std::span<keystore::Generation> versions,
               std::span<LinkStatus> statuses) override {
    each(
        statuses,
        [&](std::size_t i, LinkAsk& ask) {
          ask.from = known(agencies[i], ask);
          ask.symbol = symbols[i];
        },
        [&](std::size_t i, const LinkAsk& ask) {
          if (!versions.empty()) versions[i] = version_of(ask);
          people[i] = ask.status == LinkStatus::kOk ? mask_.hide(ask.id) : PersonHandle{};
        });
  }

  void is_issued(std::span<const PersonHandle> people, std::span<const AgencyNumber> agencies,
                 std::span<LinkStatus> statuses) override {
    each(
        statuses,
        [&](std::size_t i, LinkAsk& ask) {
          ask.id = mask_.show(people[i]);
          ask.to = known(agencies[i], ask);
        },
        [](std::size_t, const LinkAsk&) {});
  }

  void symbol_for(std::span<const PersonHandle> people, std::span<const AgencyNumber> agencies,
                  std::span<Block> symbols, std::span<LinkStatus> statuses) override {
    each(
        statuses,
        [&](std::size_t i, LinkAsk& ask) {
          ask.id = mask_.show(people[i]);
          ask.to = known(agencies[i], ask);
          ask.wants_symbol = true;
        },
        [&](std::size_t i, const LinkAsk& ask) { symbols[i] = ask.linked; });
  }

  void record_symbol(std::span<const PersonHandle> people, std::span<Block> symbols,
                     std::span<LinkStatus> statuses) override {
    each(
        statuses,
        [&](std::size_t i, LinkAsk& ask) {
          ask.id = mask_.show(people[i]);
          ask.wants_record = true;
        },
        [&](std::size_t i, const LinkAsk& ask) { symbols[i] = ask.record; });
  }

  void link(std::span<const AgencyNumber> from, std::span<const AgencyNumber> to,
            std::span<const Block> symbols, std::span<Block> linked, std::span<Block> records,
            std::span<keystore::Generation> versions, std::span<LinkStatus> statuses) override {
    const std::uint64_t day = uses_.today();
    each(
        statuses,
        [&](std::size_t i, LinkAsk& ask) {
          ask.from = known(from[i], ask);
          ask.to = known(to[i], ask);
          ask.symbol = symbols[i];
          ask.wants_symbol = true;
          ask.wants_record = !records.empty();
          if (ask.status == LinkStatus::kUnknown && !uses_.allow(from[i], day))
            ask.status = LinkStatus::kQuotaExceeded;
        },
        [&](std::size_t i, const LinkAsk& ask) {
          linked[i] = ask.linked;
          if (!records.empty()) records[i] = ask.record;
          if (!versions.empty()) versions[i] = version_of(ask);
          if (allowed_in_vain(ask)) uses_.give_back(from[i], day);
          uses_.count(from[i], ask.status == LinkStatus::kOk);
        });
  }

  Status prepare(std::span<const AgencyNumber> agencies,
                 const std::function<Status()>& keep_going) override {
    FUGO_ASSIGN(const auto view, views_.current());
    Status done;
    for (const Accepted& accepted : view->registry->generations) {
      const keystore::GenerationRow& generation = accepted.row;
      const bool older = &generation != &view->registry->active();
      std::vector<AgencyNumber> wanted(agencies.begin(), agencies.end());
      if (wanted.empty())
        for (const auto& agency : view->registry->agencies) wanted.push_back(agency.number);
      std::erase_if(wanted, [&](AgencyNumber number) {
        const Method* method = view->registry->symbols->method_of(generation.number, number);
        return view->registry->find(number) == nullptr || method == nullptr || method->invertible ||
               (older && !view->registry->renewed(generation, number));
      });
      const auto built = index_.build_all(*view, generation, wanted, keep_going);
      if (!built) done = built;
    }
    return done;
  }

  std::vector<LinkUse> take_uses() override {
    const auto view = views_.current();
    return view ? uses_.take((*view)->registry->agencies) : std::vector<LinkUse>{};
  }

  LinkingHealth health() const override {
    LinkingHealth health;
    const auto totals = index_.totals();
    health.index_entries = totals.entries;
    health.index_bytes = totals.bytes;
    health.index_agencies = totals.tables;
    health.index_evictions = totals.evictions;
    health.combined_calls = combiner_.calls();
    health.combined_runs = combiner_.runs();
    const std::lock_guard lock(error_mutex_);
    health.last_error = last_error_;
    return health;
  }

 private:
  static keystore::Generation version_of(const LinkAsk& ask) {
    return ask.status == LinkStatus::kOk ? ask.version : keystore::Generation{0};
  }

  // known: agency 0 is nobody's number.
  static AgencyNumber known(AgencyNumber agency, LinkAsk& ask) {
    if (agency == 0 && ask.status == LinkStatus::kUnknown) ask.status = LinkStatus::kUnknownAgency;
    return agency;
  }

  // allowed_in_vain tells of an ask of link() whether it took a use of the quota and was not
  // answered.
  static bool allowed_in_vain(const LinkAsk& ask) {
    switch (ask.status) {
      case LinkStatus::kFrozen:
      case LinkStatus::kUnavailable:
      case LinkStatus::kIndexTooLarge:
        return true;
      case LinkStatus::kUnknownAgency:
        return ask.from != 0 && ask.to != 0;  // others were told so before
      default:
        return false;
    }
  }

  void note(const Error& error) const {
    const std::lock_guard lock(error_mutex_);
    last_error_ = error.message();
  }

  // each asks for every item: `put` fills an ask in, `get` takes its answer.
  template <typename Put, typename Get>
  void each(std::span<LinkStatus> statuses, const Put& put, const Get& get) {
    if (statuses.empty()) return;
    const auto piece = [&](std::size_t first, std::size_t last, std::size_t) -> Status {
      std::vector<LinkAsk> asks(last - first);
      for (std::size_t i = first; i < last; ++i) {
        LinkAsk& ask = asks[i - first];
        if (statuses[i] == LinkStatus::kBadSymbol) ask.status = LinkStatus::kBadSymbol;
        put(i, ask);
      }
      if (asks.size() <= kFew && settings_.combine)
        combiner_.run(asks);
      else
        answer(asks, asks.size() <= few_.capacity() ? few_ : many_);
      for (std::size_t i = first; i < last; ++i) {
        statuses[i] = asks[i - first].status;
        get(i, asks[i - first]);
      }
      return {};
    };
    const std::size_t share = statuses.size() / hardware_threads() + 1;
    if (share <= kCombined)
      (void)piece(0, statuses.size(), 0);  // it has no errors but those of its items
    else
      (void)parallel_ranges(statuses.size(), std::min(share, kBatch), hardware_threads(), piece);
  }

  void answer(std::span<LinkAsk> asks, WorkPool& pool) {
    const auto view = views_.current();
    auto work = pool.take();
    if (!view || !work) {
      note(view ? work.error() : view.error());
      for (LinkAsk& ask : asks)
        if (ask.status == LinkStatus::kUnknown) ask.status = LinkStatus::kUnavailable;
      return;
    }
    forget_retired(*(*view)->registry);
    const auto done = (*work)->run(**view, *(*view)->keys, index_, asks);
    if (!done) note(done.error());
    pool.give_back(std::move(*work));
  }

  // Tables of generations that are not accepted any more are wiped by the first call that knows.
  void forget_retired(const Registry& registry) {
    if (forgot_.load(std::memory_order_relaxed) >= registry.version) return;
    index_.keep_only(registry);
    forgot_.store(registry.version, std::memory_order_relaxed);
  }

  // keep_fresh builds ahead where that is wanted, and brings tables up to date after commits, so
  // that those who ask seldom have to.
  void keep_fresh() {
    const auto going = [this]() -> Status {
      const std::lock_guard lock(stop_mutex_);
      if (stopping_) return fail(ErrorCode::kRefused, "the library is being closed");
      return {};
    };
    bool ahead = settings_.index == IndexPolicy::kAhead;
    std::uint64_t seen = 0;
    for (std::unique_lock lock(stop_mutex_); !stopping_;) {
      lock.unlock();
      Status done;
      if (ahead) {
        done = prepare({}, going);
        ahead = false;
      }
      const std::uint64_t now = views_.last_transaction();
      if (now != seen) {
        const auto view = views_.current();
        // Also those that a call made meanwhile that had begun before the generation was retired.
        if (view) index_.keep_only(*(*view)->registry);
        const auto fresh = view ? index_.refresh(**view, going) : tl::unexpected(view.error());
        if (fresh)
          seen = now;
        else
          done = fresh;
      }
      if (!done && going()) note(done.error());
      lock.lock();
      stop_.wait_for(lock,
                     done ? std::chrono::milliseconds(kRefreshEvery)
                          : std::chrono::milliseconds(kRefreshAgain),
                     [this] { return stopping_; });
    }
  }

  const LinkingSettings settings_;
  const std::unique_ptr<Site> site_;
  ViewKeeper views_;
  ResolverIndex index_;
  std::atomic<std::uint64_t> forgot_{0};  // version of the newest registry that index_ keeps to
  PersonMask mask_;
  LinkUses uses_;
  WorkPool few_{kCombined, kMostFew, settings_.patience};
  WorkPool many_{kBatch, hardware_threads(), settings_.patience};
  Combiner combiner_;

  mutable std::mutex error_mutex_;
  mutable std::string last_error_;

  std::mutex stop_mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread refresher_;  // last: it uses the members above
};

}  // namespace

Result<std::unique_ptr<Linking>> Linking::open(std::unique_ptr<Site> site,
                                               const LinkingSettings& settings) {
  if (site->token().role() != hsm::TokenRole::kLinking)
    return fail(ErrorCode::kRefused, "linking needs the token of the linking role");
  FUGO_ASSIGN(auto calendar, Calendar::of(settings.time_zone));
  auto linking = std::make_unique<LinkingImpl>(std::move(site), settings, std::move(calendar));
  FUGO_TRY(linking->start());
  return keep_to_process(std::move(linking));
}

}  // namespace fugo::engine
