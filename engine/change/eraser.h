// Physical deletion: people, their index entries and every issuance, gone from every file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/site.h"
#include "keystore/ledger.h"
#include "keystore/types.h"

namespace fugo::engine {

// EraseResult is what becomes of one accepted row. Numbers are permanent: answers store them.
enum class EraseResult : std::uint8_t {
  kErased = 1,
  kUnknownResident = 2,  // rejected: nobody has this code, or an earlier row names it too
  kSuperseded = 3        // rejected: the code was changed; the file must name the present one
};

// DeadSymbol is an agency's symbol of a person who goes.
struct DeadSymbol {
  keystore::AgencyNumber agency = 0;
  Block symbol;
};

// EraseOutcome: the spans last until the eraser's next call.
struct EraseOutcome {
  std::span<const EraseResult> results;     // one a row
  std::span<const DeadSymbol> agencies;     // sorted by (agency, symbol); of closed agencies none
  std::span<const Block> records;           // record symbols, sorted
  std::uint64_t people = 0, issuances = 0;  // how many go, also those of closed agencies
};

// Eraser deletes in two steps, so that the answers can be made safe in between: they can never be
// made again. Not thread-safe; spreads its work over the machine's cores.
class Eraser {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Eraser>> create(Site& site, std::size_t max_rows);
  virtual ~Eraser() = default;

  // ask gives a function that is asked between steps, from any thread; its error ends the call,
  // with nothing committed.
  void ask(std::function<Status()> keep_going) { keep_going_ = std::move(keep_going); }

  // find tells who would go and every symbol that would die with them: the people of these codes
  // and everybody who was superseded into them. Reads only.
  [[nodiscard]] virtual Result<EraseOutcome> find(std::span<const std::uint64_t> codes) = 0;

  // commit erases what the last find found: files that hold any of it are written anew without it,
  // then one transaction swaps them together with the job's row as it is given (its number must be
  // known), the journal and the state; then the old files are unlinked. kRefused, and nothing is
  // changed, when the ledger's people changed since find. An error that says "was committed" came
  // after the commit: the next open for writing takes away what is left. kWrite only.
  [[nodiscard]] virtual Status commit(keystore::JobRow& job, const keystore::Actor& actor) = 0;

 protected:
  [[nodiscard]] Status going() const { return keep_going_ ? keep_going_() : Status{}; }
  std::function<Status()> keep_going_;
};

}  // namespace fugo::engine
