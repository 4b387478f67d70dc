// The first two lines of a request file.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "daemon/files/request.h"

namespace fugo::daemon {

// kMaxIdLength: ids are 1 to 64 of 0-9A-Za-z._-, and do not begin with a dot.
inline constexpr std::size_t kMaxIdLength = 64;
[[nodiscard]] bool is_request_id(std::string_view id);

// parse_head reads the first line, without its end: "#fugo-request," and fields name=value in any
// order, each name once; version, id, kind and records are required. kRefused names the field, with
// `where` = "file:1".
[[nodiscard]] Result<RequestHead> parse_head(std::string_view line,
                                             const std::filesystem::path& path);

// check_header compares the second line with the columns of the kind; kRefused at "file:2".
[[nodiscard]] Status check_header(std::string_view line, keystore::JobKind kind,
                                  const std::filesystem::path& path);

}  // namespace fugo::daemon
