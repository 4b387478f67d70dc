// One agency's answers out of all parts, in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "daemon/files/answer_file.h"
#include "daemon/files/answers.h"
#include "daemon/files/keep_going.h"

namespace fugo::daemon {

// write_agency writes the rows of one agency into `file`, behind the head line and the header:
// merged from all parts, by processing number. kInternal when a number comes twice.
[[nodiscard]] Status write_agency(const AnswerParts& parts, ByteView records,
                                  keystore::AgencyNumber agency, std::string_view id,
                                  std::string_view code, AnswerFile& file, const KeepGoing& going);

}  // namespace fugo::daemon
