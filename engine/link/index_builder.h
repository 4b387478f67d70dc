// Filling tables of one-way symbols: from the ledger's issuances, through the token, in bulk.
#pragma once

#include <functional>
#include <span>

#include "base/result.h"
#include "engine/link/link_view.h"
#include "engine/link/symbol_table.h"

namespace fugo::engine {

// IndexTarget is a table to be filled with everybody whom an agency was issued.
struct IndexTarget {
  keystore::AgencyNumber agency = 0;
  SymbolTable* table = nullptr;
};

// fill_tables recomputes the symbols of a generation for all issuances of the targets' agencies
// (ascending by number) and inserts them, on all cores. Memory beside the tables is bounded.
// `keep_going`, where given, is asked between pieces; its error ends the work.
[[nodiscard]] Status fill_tables(const LinkView& view, const keystore::GenerationRow& generation,
                                 std::span<const IndexTarget> targets,
                                 const std::function<Status()>& keep_going);

// NewIssuances are, of the files that are not among `known`, the entries of
// later segments than `after`.
struct NewIssuances {
  std::span<const keystore::FileNumber> known;  // ascending
  keystore::SegmentNumber after = keystore::kNoSegment;
};

// IdsAndSymbols takes people and their recomputed symbols, piece by piece.
using IdsAndSymbols =
    std::function<Status(std::span<const keystore::PersonId>, std::span<const Block>)>;

// recompute_new gives the symbols of an agency's new issuances to `take`.
[[nodiscard]] Status recompute_new(const LinkView& view, const keystore::GenerationRow& generation,
                                   keystore::AgencyNumber agency, const NewIssuances& which,
                                   const IdsAndSymbols& take);

}  // namespace fugo::engine
