#include "engine/link/own_process.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using Agencies = std::span<const AgencyNumber>;
using People = std::span<const PersonHandle>;
using Statuses = std::span<LinkStatus>;
using Versions = std::span<keystore::Generation>;

// Forks since this process, or an ancestor, first opened a Linking. Counted, since asking for the
// process's number at each call takes longer than a look-up.
std::atomic<std::uint64_t> g_forks{0};
std::uint64_t forks_watched() {
  static const int watched = ::pthread_atfork(nullptr, nullptr, [] { ++g_forks; });
  (void)watched;
  return g_forks.load();
}

template <typename T>
void clear(std::span<T> outputs) {
  std::fill(outputs.begin(), outputs.end(), T{});
}

class OwnProcess final : public Linking {
 public:
  explicit OwnProcess(std::unique_ptr<Linking> linking)
      : forks_(forks_watched()), linking_(std::move(linking)) {}
  ~OwnProcess() override {
    if (forked()) (void)linking_.release();
  }

  Result<std::optional<AgencyNumber>> find_agency(std::string_view code) override {
    if (forked()) return tl::unexpected(refusal());
    return linking_->find_agency(code);
  }
  void resolve(Agencies agencies, std::span<const Block> symbols, std::span<PersonHandle> people,
               Versions versions, Statuses statuses) override {
    if (!forked()) return linking_->resolve(agencies, symbols, people, versions, statuses);
    clear(people);
    clear(versions);
    refuse(statuses);
  }
  void is_issued(People people, Agencies agencies, Statuses statuses) override {
    if (!forked()) return linking_->is_issued(people, agencies, statuses);
    refuse(statuses);
  }
  void symbol_for(People people, Agencies agencies, std::span<Block> symbols,
                  Statuses statuses) override {
    if (!forked()) return linking_->symbol_for(people, agencies, symbols, statuses);
    clear(symbols);
    refuse(statuses);
  }
  void record_symbol(People people, std::span<Block> symbols, Statuses statuses) override {
    if (!forked()) return linking_->record_symbol(people, symbols, statuses);
    clear(symbols);
    refuse(statuses);
  }
  void link(Agencies from, Agencies to, std::span<const Block> symbols, std::span<Block> linked,
            std::span<Block> records, Versions versions, Statuses statuses) override {
    if (!forked()) return linking_->link(from, to, symbols, linked, records, versions, statuses);
    clear(linked);
    clear(versions);
    clear(records);
    refuse(statuses);
  }
  Status prepare(Agencies agencies, const std::function<Status()>& keep_going) override {
    if (forked()) return tl::unexpected(refusal());
    return linking_->prepare(agencies, keep_going);
  }
  std::vector<LinkUse> take_uses() override {
    return forked() ? std::vector<LinkUse>() : linking_->take_uses();
  }
  void note_used(std::int64_t day, std::span<const LinkUse> uses) override {
    if (!forked()) linking_->note_used(day, uses);
  }
  keystore::BlockCounts evaluated() const override {
    return forked() ? keystore::BlockCounts() : linking_->evaluated();
  }
  Status read_ledger(const std::function<Status(const keystore::Ledger&)>& read) override {
    if (forked()) return tl::unexpected(refusal());
    return linking_->read_ledger(read);
  }
  LinkingHealth health() const override {
    if (!forked()) return linking_->health();
    LinkingHealth none;
    none.last_error = refusal().message();
    return none;
  }

 private:
  [[nodiscard]] bool forked() const { return g_forks.load(std::memory_order_relaxed) != forks_; }
  static Error refusal() {
    return {ErrorCode::kRefused, "the process was forked", "linking", "open in the child itself"};
  }
  static void refuse(Statuses statuses) {
    std::fill(statuses.begin(), statuses.end(), LinkStatus::kForked);
  }

  const std::uint64_t forks_;
  std::unique_ptr<Linking> linking_;
};

}  // namespace

std::unique_ptr<Linking> keep_to_process(std::unique_ptr<Linking> linking) {
  return std::make_unique<OwnProcess>(std::move(linking));
}

}  // namespace fugo::engine
