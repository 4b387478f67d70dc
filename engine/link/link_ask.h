// LinkAsk: one item of any linking call, as the steps of linking work on it.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"
#include "engine/link/link_status.h"
#include "keystore/types.h"

namespace fugo::engine {

// LinkAsk names a person by an agency's symbol or by id, and says what is wanted of the person.
struct LinkAsk {
  // What is asked.
  Block symbol;                     // of `from`, when the person is named by it
  keystore::AgencyNumber from = 0;  // 0: the person is named by `id`
  keystore::AgencyNumber to = 0;    // 0: nothing is asked of another agency
  bool wants_symbol = false;        // of `to`; without it, only whether there is one
  bool wants_record = false;

  // What was found.
  LinkStatus status = LinkStatus::kUnknown;
  bool lacks_table = false;  // kUnavailable for want of a table that the run was not to make
  keystore::PersonId id = keystore::kNoPerson;
  keystore::Generation version = 0;  // of `symbol`
  Block linked;
  Block record;
};

// is_settled tells of a status on entry whether nothing is left to be asked.
[[nodiscard]] inline bool is_settled(LinkStatus status) {
  return status == LinkStatus::kBadSymbol || status == LinkStatus::kQuotaExceeded ||
         status == LinkStatus::kUnknownAgency;
}

// settle gives an ask an answer without symbols.
inline void settle(LinkAsk& ask, LinkStatus status) {
  ask.status = status;
  ask.lacks_table = false;
  ask.linked = {};
  ask.record = {};
}

// give_up is the end of asks that waited in vain, or whose run failed as a whole.
inline void give_up(std::span<LinkAsk> asks) {
  for (LinkAsk& ask : asks) {
    settle(ask, is_settled(ask.status) ? ask.status : LinkStatus::kUnavailable);
    ask.id = keystore::kNoPerson;
  }
}

// WipedAsks is memory for asks, whose symbols are wiped when it goes.
class WipedAsks {
 public:
  explicit WipedAsks(std::size_t count) : asks_(count) {}
  ~WipedAsks() { wipe(asks_.data(), asks_.size() * sizeof(LinkAsk)); }
  WipedAsks(const WipedAsks&) = delete;
  WipedAsks& operator=(const WipedAsks&) = delete;

  [[nodiscard]] std::span<LinkAsk> span() { return asks_; }

 private:
  std::vector<LinkAsk> asks_;
};

}  // namespace fugo::engine
