// Rows that repeat a processing number of their agency.
#pragma once

#include "base/result.h"
#include "daemon/files/survey.h"

namespace fugo::daemon {

// find_duplicates looks over all rows again, and notes in `survey` those accepted rows whose agency
// and processing number an earlier accepted row has: in `duplicates`, `rejects` and
// `rejected_by_agency`. `survey.marks` must be those of `pieces`, one a piece. Memory is bounded by
// the options, apart from one bit a row.
//
// Rows are told apart by SipHash-2-4 with 128 bits of result under the ledger's spill key, so that
// nobody can make two rows that look alike; its values are sorted through temporary files.
[[nodiscard]] Status find_duplicates(const Pieces& pieces, const SurveyOptions& options,
                                     Survey& survey);

}  // namespace fugo::daemon
