#include "engine/link/linking.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "base/no_throw.h"
#include "base/parallel.h"
#include "engine/block_count.h"
#include "engine/link/combiner.h"
#include "engine/link/link_uses.h"
#include "engine/link/link_view.h"
#include "engine/link/link_work.h"
#include "engine/link/own_process.h"
#include "engine/link/person_mask.h"
#include "engine/link/resolver_index.h"
#include "engine/link/table_keeper.h"
#include "engine/link/work_pool.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using Tables = LinkWork::Tables;

constexpr std::size_t kFew = 64;           // items of a call that is combined with others
constexpr std::size_t kCombined = 1024;    // most of such calls together
constexpr std::size_t kBatch = 1U << 18U;  // items of a piece of a large call
constexpr std::size_t kMostFew = 1024;     // calls that are not combined, at once

class LinkingImpl final : public Linking {
 public:
  LinkingImpl(std::unique_ptr<Site> site, const LinkingSettings& settings, Calendar calendar)
      : settings_(settings),
        site_(std::move(site)),
        views_(*site_),
        index_(settings.index_bytes),
        uses_(settings.quota_per_day, std::move(calendar),
              used_quota(site_->ledger().keys()->ledger_id())),
        combiner_([this](std::span<LinkAsk> asks,
                         Patience& patience) { answer(asks, few_, Tables::kAsTheyAre, patience); },
                  1U, kCombined, settings.patience) {}

  Status start() {
    Patience patience(settings_.patience);
    FUGO_TRY(views_.current(patience).map([](const auto&) {}));
    keeper_.start();
    return {};
  }

  Result<std::optional<AgencyNumber>> find_agency(std::string_view code) override {
    std::optional<AgencyNumber> number;
    auto done = no_throw([&]() -> Status {
      Patience patience(settings_.patience);
      FUGO_ASSIGN(const auto view, views_.current(patience));
      const auto& numbers = view->registry->numbers;
      const auto found = numbers.find(std::string(code));
      if (found != numbers.end()) number = found->second;
      return {};
    });
    if (done) return number;
    note(done.error());
    return tl::unexpected(std::move(done.error()));
  }

  void resolve(std::span<const AgencyNumber> agencies, std::span<const Block> symbols,
               std::span<PersonHandle> people, std::span<keystore::Generation> versions,
               std::span<LinkStatus> statuses) override {
    const std::uint64_t day = uses_.today();
    each(
        statuses,
        [&](std::size_t i, LinkAsk& ask) {
          ask.from = known(agencies[i], ask);
          ask.symbol = symbols[i];
          allow(agencies[i], day, ask);
        },
        [&](std::size_t i, const LinkAsk& ask) {
          if (!versions.empty()) versions[i] = version_of(ask);
          people[i] = ask.status == LinkStatus::kOk ? mask_.hide(ask.id) : PersonHandle{};
          count(agencies[i], day, ask);
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
          allow(from[i], day, ask);
        },
        [&](std::size_t i, const LinkAsk& ask) {
          linked[i] = ask.linked;
          if (!records.empty()) records[i] = ask.record;
          if (!versions.empty()) versions[i] = version_of(ask);
          count(from[i], day, ask);
        });
  }

  Status prepare(std::span<const AgencyNumber> agencies,
                 const std::function<Status()>& keep_going) override {
    return no_throw([&]() -> Status {
      Patience patience(settings_.patience);
      FUGO_ASSIGN(const auto view, views_.current(patience));
      for (const AgencyNumber number : agencies)
        if (view->registry->find(number) == nullptr)
          return fail(ErrorCode::kUsage, "no open agency has this number", std::to_string(number));
      return keeper_.build(*view, agencies, keep_going);
    });
  }

  // Whoever was counted was known to some view.
  std::vector<LinkUse> take_uses() override {
    return uses_.take(views_.last()->registry->agencies);
  }

  void note_used(std::int64_t of, std::span<const LinkUse> uses) override {
    const auto day = static_cast<std::uint64_t>(std::max<std::int64_t>(of, 0));
    const auto registry = views_.last()->registry;
    for (const LinkUse& use : uses) {
      const auto found = registry->numbers.find(use.agency);
      if (found != registry->numbers.end())
        uses_.raise(found->second, day, use.asked - use.in_vain);
    }
  }

  keystore::BlockCounts evaluated() const override { return evaluated_blocks(site_->token()); }

  Status read_ledger(const std::function<Status(const keystore::Ledger&)>& read) override {
    return read(*views_.ledger());
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

  void allow(AgencyNumber inquirer, std::uint64_t day, LinkAsk& ask) {
    if (ask.status == LinkStatus::kUnknown && !uses_.allow(inquirer, day))
      ask.status = LinkStatus::kQuotaExceeded;
  }
  void count(AgencyNumber inquirer, std::uint64_t day, const LinkAsk& ask) {
    if (allowed_in_vain(ask)) uses_.give_back(inquirer, day);
    uses_.count(inquirer, ask.status == LinkStatus::kOk, !answered(ask.status));
  }

  static bool answered(LinkStatus status) {
    return status == LinkStatus::kOk || status == LinkStatus::kNotIssued ||
           status == LinkStatus::kUnknown || status == LinkStatus::kSuperseded;
  }

  // allowed_in_vain tells whether an ask took a use of the quota and was not answered.
  static bool allowed_in_vain(const LinkAsk& ask) {
    switch (ask.status) {
      case LinkStatus::kFrozen:
      case LinkStatus::kUnavailable:
      case LinkStatus::kIndexTooLarge:
        return true;
      case LinkStatus::kUnknownAgency:
        return ask.from != 0 && (ask.to != 0 || !ask.wants_symbol);  // others were told so before
      default:
        return false;
    }
  }

  void note(const Error& error) const {
    (void)no_throw([&]() -> Status {
      auto message = error.message();
      const std::lock_guard lock(error_mutex_);
      last_error_ = std::move(message);
      return {};
    });
  }

  // each asks for every item: `put` fills an ask in, `get` takes its answer.
  template <typename Put, typename Get>
  void each(std::span<LinkStatus> statuses, const Put& put, const Get& get) {
    if (statuses.empty()) return;
    const auto fill = [&](std::size_t i, LinkAsk& ask) {
      if (statuses[i] == LinkStatus::kBadSymbol) ask.status = LinkStatus::kBadSymbol;
      put(i, ask);
    };
    const auto take = [&](std::size_t i, const LinkAsk& ask) {
      statuses[i] = ask.status;
      get(i, ask);
    };
    std::atomic<bool> in_vain{false};  // a piece waited for all that it could: the next ones do not
    const auto piece = [&](std::size_t first, std::size_t last, std::size_t) -> Status {
      const Status done = no_throw([&]() -> Status {
        WipedAsks memory(last - first);
        const auto asks = memory.span();
        for (std::size_t i = first; i < last; ++i) fill(i, asks[i - first]);
        Patience patience(in_vain ? Patience::Duration::zero() : settings_.patience);
        answer_piece(asks, patience);
        if (patience.left() == Patience::Duration::zero()) in_vain = true;
        for (std::size_t i = first; i < last; ++i) take(i, asks[i - first]);
        return {};
      });
      if (done) return {};
      note(done.error());  // no memory: nothing was asked yet
      for (std::size_t i = first; i < last; ++i) {
        LinkAsk ask;
        fill(i, ask);
        give_up({&ask, 1});
        take(i, ask);
        wipe(&ask, sizeof ask);
      }
      return {};
    };
    const std::size_t share = statuses.size() / hardware_threads() + 1;
    if (share <= kCombined)
      (void)piece(0, statuses.size(), 0);  // it has no errors but those of its items
    else
      (void)parallel_ranges(statuses.size(), std::min(share, kBatch), hardware_threads(),
                            std::ref(piece));
  }

  // answer_piece throws nothing.
  void answer_piece(std::span<LinkAsk> asks, Patience& patience) {
    if (asks.size() > kFew || !settings_.combine)
      return answer(asks, asks.size() <= few_.capacity() ? few_ : many_, Tables::kMade, patience);
    const auto done = no_throw([&]() -> Status {
      combiner_.run(asks, patience);
      return {};
    });
    if (!done) give_up(asks);
    const auto apart = no_throw([&]() -> Status {
      answer_apart(asks, patience);
      return {};
    });
    if (!done) note(done.error());
    if (!apart) note(apart.error());
  }

  // answer_apart is for asks that lack a table: it is made, or waited for, on the caller's own
  // thread, and nobody else's answer depends on it.
  void answer_apart(std::span<LinkAsk> asks, Patience& patience) {
    const auto lacks = [](const LinkAsk& ask) { return ask.lacks_table; };
    const auto count = static_cast<std::size_t>(std::count_if(asks.begin(), asks.end(), lacks));
    if (count == 0) return;
    WipedAsks memory(count);
    const auto apart = memory.span();
    std::copy_if(asks.begin(), asks.end(), apart.begin(), lacks);
    answer(apart, few_, Tables::kMade, patience);
    auto answered = apart.begin();
    for (LinkAsk& ask : asks)
      if (ask.lacks_table) ask = *answered++;
  }

  // answer throws nothing.
  void answer(std::span<LinkAsk> asks, WorkPool& pool, Tables tables, Patience& patience) {
    bool ran = false;
    const Status done = no_throw([&]() -> Status {
      FUGO_ASSIGN(const auto view, views_.current(patience));
      FUGO_ASSIGN(const auto work, pool.take(patience));
      forget_retired(*view->registry);
      ran = true;
      return work->run(*view, index_, tables, patience, asks);
    });
    if (!ran) give_up(asks);
    if (!done) note(done.error());
  }

  // Tables of generations that are not accepted any more are wiped by the first call that knows.
  void forget_retired(const Registry& registry) {
    if (forgot_.load(std::memory_order_relaxed) >= registry.version) return;
    index_.keep_only(registry);
    forgot_.store(registry.version, std::memory_order_relaxed);
  }

  const LinkingSettings settings_;
  const std::unique_ptr<Site> site_;
  ViewKeeper views_;
  ResolverIndex index_;
  std::atomic<std::uint64_t> forgot_{0};  // version of the newest registry that index_ keeps to
  PersonMask mask_;
  LinkUses uses_;
  WorkPool few_{kCombined, kMostFew};
  WorkPool many_{kBatch, hardware_threads()};

  mutable std::mutex error_mutex_;
  mutable std::string last_error_;

  // Last: their threads use the members above.
  Combiner combiner_;
  TableKeeper keeper_{views_, index_, settings_, [this](const Error& error) { note(error); }};
};

}  // namespace

Result<std::unique_ptr<Linking>> Linking::open(std::unique_ptr<Site> site,
                                               const LinkingSettings& settings) {
  // A standby token does the work of both roles at a site that has no other.
  if (site->token().role() == hsm::TokenRole::kIssuing)
    return fail(ErrorCode::kRefused, "linking needs the token of the linking role");
  FUGO_ASSIGN(auto calendar, Calendar::of(settings.time_zone));
  std::unique_ptr<Linking> open;
  FUGO_TRY(no_throw([&]() -> Status {
    auto made = std::make_unique<LinkingImpl>(std::move(site), settings, std::move(calendar));
    FUGO_TRY(made->start());
    open = keep_to_process(std::move(made));
    return {};
  }));
  return open;
}

}  // namespace fugo::engine
