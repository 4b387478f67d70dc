// LinkAsk: one item of any linking call, as the steps of linking work on it.
#pragma once

#include "base/bytes.h"
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
  keystore::PersonId id = keystore::kNoPerson;
  keystore::Generation version = 0;  // of `symbol`
  Block linked;
  Block record;
};

}  // namespace fugo::engine
