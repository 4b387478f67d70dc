#include "daemon/files/answer_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/text.h"

namespace fugo::daemon {
namespace {

constexpr std::uint32_t kRowsBetweenAsking = 1U << 16U;

// Head is where one part has got to.
struct Head {
  const std::uint8_t* record = nullptr;
  const std::uint8_t* end = nullptr;
  const AnswerParts::Part* part = nullptr;

  // number is the processing number; the zero bytes behind it sort before every character, so
  // the texts' order is that of their records.
  [[nodiscard]] std::string_view number() const {
    const auto* text = reinterpret_cast<const char*>(record);
    return {text, ::strnlen(text, part->width)};
  }
};

std::vector<Head> heads_of(const AnswerParts& parts, ByteView records,
                           keystore::AgencyNumber agency) {
  std::vector<Head> heads;
  for (const auto& part : parts.parts()) {
    if (agency + std::size_t{1} >= part.first.size()) continue;
    const std::uint64_t first = part.first[agency], last = part.first[agency + std::size_t{1}];
    if (first == last) continue;
    const std::uint8_t* base = records.data() + part.offset;
    heads.push_back({base + first * part.record_bytes(), base + last * part.record_bytes(), &part});
  }
  return heads;
}

std::string_view status_name(std::uint8_t result) {
  return result == static_cast<std::uint8_t>(RowResult::kNew) ? "new" : "existing";
}

// write_row writes "number,symbol,version,status".
Status write_row(const Head& head, std::string_view number, AnswerFile& file) {
  constexpr std::size_t kMostBytes = kMaxProcessingNumberLength + kSymbolTextLength + 20;
  FUGO_ASSIGN(char* const start, file.room(kMostBytes));
  char* to = start;
  const auto put = [&to](std::string_view text) {
    std::memcpy(to, text.data(), text.size());
    to += text.size();
  };
  put(number);
  *to++ = ',';
  Block symbol;
  std::memcpy(symbol.bytes.data(), head.record + head.part->width, sizeof(Block));
  encode_symbol(symbol, to);
  to += kSymbolTextLength;
  *to++ = ',';
  to = fmt::format_to(to, FMT_STRING("{}"), head.part->version);
  *to++ = ',';
  put(status_name(head.record[head.part->width + sizeof(Block)]));
  *to++ = '\n';
  file.take(static_cast<std::size_t>(to - start));
  return {};
}

}  // namespace

Status write_agency(const AnswerParts& parts, ByteView records, keystore::AgencyNumber agency,
                    std::string_view id, std::string_view code, AnswerFile& file,
                    const KeepGoing& going) {
  const auto& count = parts.counts()[agency];
  FUGO_TRY(
      file.append(fmt::format("#fugo-response,version=1,id={},agency={},records={}\n"
                              "processing_number,agency_symbol,symbol_version,status\n",
                              id, code, count.count_new + count.count_existing)));
  auto heads = heads_of(parts, records, agency);
  const auto later = [](const Head& a, const Head& b) { return b.number() < a.number(); };
  std::make_heap(heads.begin(), heads.end(), later);
  std::string_view before;
  std::uint32_t rows = 0;
  while (!heads.empty()) {
    std::pop_heap(heads.begin(), heads.end(), later);
    Head& head = heads.back();
    do {
      const std::string_view number = head.number();
      if (number <= before)
        return fail(ErrorCode::kInternal, "an agency is answered the same processing number twice",
                    "agency " + std::string(code));
      FUGO_TRY(write_row(head, number, file));
      if (++rows % kRowsBetweenAsking == 0) FUGO_TRY(going());
      before = number;
      head.record += head.part->record_bytes();
    } while (heads.size() == 1 && head.record != head.end);
    if (head.record == head.end)
      heads.pop_back();
    else
      std::push_heap(heads.begin(), heads.end(), later);
  }
  return {};
}

}  // namespace fugo::daemon
