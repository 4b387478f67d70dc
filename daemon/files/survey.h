// The one look over all rows of a CSV request, before anything is applied.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "daemon/files/request.h"

namespace fugo::daemon {

// kFirstRowLine is the line of row 0: behind the first line and the header.
inline constexpr std::uint64_t kFirstRowLine = 3;

// RequestText is a request's bytes, and where its rows are.
struct RequestText {
  std::filesystem::path path;  // for errors
  std::string_view file;       // every byte
  std::string_view rows;       // the rows: behind the header, without one empty line at the end
};

// survey_rows does what Request::survey says. options.rules.kind must be the head's.
[[nodiscard]] Result<Survey> survey_rows(const RequestText& text, const RequestHead& head,
                                         const SurveyOptions& options);

// Pieces cuts the rows of a request, at ends of lines, into pieces of about `bytes`.
class Pieces {
 public:
  Pieces(std::string_view rows, std::size_t bytes) : rows_(rows), bytes_(bytes) {}
  [[nodiscard]] std::size_t count() const { return (rows_.size() + bytes_ - 1) / bytes_; }
  // piece is whole lines; it may be empty, behind a long line.
  [[nodiscard]] std::string_view piece(std::size_t i) const;

 private:
  [[nodiscard]] std::size_t start(std::size_t i) const;
  std::string_view rows_;
  std::size_t bytes_;
};

}  // namespace fugo::daemon
