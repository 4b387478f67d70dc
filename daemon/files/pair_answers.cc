#include "daemon/files/pair_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/command/names.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kFilesAtATime = 64;
constexpr std::uint64_t kRowsBetweenAsking = 1U << 16U;

Status write_symbols(const Block& before, const Block& after, bool both, AnswerFile& file) {
  FUGO_ASSIGN(char* const start, file.room(2 * kSymbolTextLength + 2));
  char* to = start;
  encode_symbol(before, to);
  to += kSymbolTextLength;
  if (both) {
    *to++ = ',';
    encode_symbol(after, to);
    to += kSymbolTextLength;
  }
  *to++ = '\n';
  file.take(static_cast<std::size_t>(to - start));
  return {};
}

}  // namespace

Status PairAnswers::add_agency(keystore::AgencyNumber agency, const Block& before,
                               const Block& after) {
  if (by_agency_.size() <= agency) by_agency_.resize(agency + std::size_t{1});
  ++by_agency_[agency];
  return agencies_.add({agency, before, after});
}

Status PairAnswers::add_record(const Block& before, const Block& after) {
  ++record_count_;
  return records_.add({0, before, after});
}

void PairAnswers::expect(keystore::AgencyNumber agency) {
  if (by_agency_.size() <= agency) by_agency_.resize(agency + std::size_t{1});
  expected_ = agency;
}

// Writer makes one job's folder and file of records.
class PairAnswers::Writer {
 public:
  Writer(PairAnswers& pairs, const AnswersPlace& place, const AnswerHead& head,
         std::span<const keystore::Agency> registry, const KeepGoing& going)
      : pairs_(pairs),
        place_(place),
        folder_(temporary_answers_path(place.directory, place.id)),
        head_(head),
        both_(head.kind != keystore::JobKind::kDelete),
        has_request_(head.kind != keystore::JobKind::kMerge),
        going_(going) {
    for (const auto& agency : registry) agencies_[agency.number] = &agency;
  }

  Result<WrittenAnswers> run(const nlohmann::ordered_json& counts, RejectList& rejects) {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
    if (error) return fail_errno("cannot remove", folder_.string(), error.value());
    FUGO_TRY(make_directory(folder_));
    FUGO_TRY(write_agencies());
    const std::uint64_t agencies = notes_.size();
    if (has_request_) {
      FUGO_ASSIGN(auto rejected, write_rejects(folder_, rejects));
      notes_.push_back(std::move(rejected));
      FUGO_TRY(write_records());
    }
    WrittenAnswers written;
    FUGO_ASSIGN(written.digest, digest_of_notes(notes_));
    written.agencies = agencies;
    written.count_rejected = rejects.size();
    FUGO_TRY(write_summary(counts, rejects, written));
    FUGO_TRY(going_());
    FUGO_TRY(sync_directory(folder_));
    FUGO_TRY(sync_directory(place_.directory));
    return written;
  }

 private:
  // The pairs come sorted by agency: one file after the other.
  Status write_agencies() {
    std::uint64_t rows = 0;
    FUGO_TRY(pairs_.agencies_.for_each([&](const Pair& pair) -> Status {
      if (++rows % kRowsBetweenAsking == 0) FUGO_TRY(going_());
      if (open_.empty() || pair.agency != agency_) FUGO_TRY(next_agency(pair.agency));
      return write_symbols(pair.before, pair.after, both_, open_.back());
    }));
    if (notes_.empty() && pairs_.expected_ != 0) FUGO_TRY(next_agency(pairs_.expected_));
    FUGO_TRY(end_agency());
    return sync_open();
  }

  Status next_agency(keystore::AgencyNumber agency) {
    FUGO_TRY(end_agency());
    if (open_.size() >= kFilesAtATime) FUGO_TRY(sync_open());
    FUGO_TRY(going_());
    const auto known = agencies_.find(agency);
    if (known == agencies_.end())
      return fail(ErrorCode::kInternal, "an answer is for an agency that is not registered");
    agency_ = agency;
    const std::string& code = known->second->code;
    const auto& certificate = known->second->certificate;
    const std::uint64_t count = pairs_.by_agency_[agency];
    notes_.push_back({answer_name(code, false), count, {}});
    FUGO_ASSIGN(auto file,
                AnswerFile::create(folder_ / answer_name(code, !certificate.empty()), certificate));
    FUGO_TRY(file.append(fmt::format(
        "#fugo-response,version=1,id={},kind={},agency={},records={}\n{}\n", head_.id,
        kind_name(head_.kind), code, count, both_ ? "old_symbol,new_symbol" : "symbol")));
    open_.push_back(std::move(file));
    writing_ = true;
    return {};
  }

  Status end_agency() {
    if (!writing_) return {};
    writing_ = false;
    FUGO_ASSIGN(notes_.back().sha256, open_.back().finish());
    notes_.back().sealed = open_.back().sealed();
    return {};
  }

  Status sync_open() {
    for (auto& file : open_) FUGO_TRY(file.sync());
    open_.clear();
    return {};
  }

  Status write_records() {
    const auto path = temporary_records_path(place_);
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return fail_errno("cannot remove", path.string(), error.value());
    FUGO_ASSIGN(auto file, AnswerFile::create(path));
    FUGO_TRY(file.append(both_ ? "old_record_symbol,new_record_symbol\n" : "record_symbol\n"));
    std::uint64_t rows = 0;
    FUGO_TRY(pairs_.records_.for_each([&](const Pair& pair) -> Status {
      if (++rows % kRowsBetweenAsking == 0) FUGO_TRY(going_());
      return write_symbols(pair.before, pair.after, both_, file);
    }));
    FUGO_ASSIGN(const Sha256 sha256, file.finish());
    FUGO_TRY(file.sync());
    notes_.push_back({records_name(place_.id), pairs_.record_count_, sha256});
    return sync_directory(place_.records);
  }

  Status write_summary(const nlohmann::ordered_json& counts, const RejectList& rejects,
                       const WrittenAnswers& written) {
    std::map<std::string, std::uint64_t> symbols;
    for (std::size_t number = 0; number < pairs_.by_agency_.size(); ++number)
      if (pairs_.by_agency_[number] != 0 || (number != 0 && number == pairs_.expected_))
        symbols[agencies_.at(static_cast<keystore::AgencyNumber>(number))->code] =
            pairs_.by_agency_[number];
    auto agencies = nlohmann::ordered_json::object();
    for (const auto& [code, count] : symbols) agencies[code] = {{"symbols", count}};
    nlohmann::ordered_json summary = {{"format", "fugo-summary"},
                                      {"version", 1},
                                      {"id", head_.id},
                                      {"kind", kind_name(head_.kind)},
                                      {"environment", head_.environment},
                                      {"started", format_time(head_.time)},
                                      {"symbol_version", head_.symbol_version},
                                      {"rows", head_.rows},
                                      {"counts", counts},
                                      {"rejects", reject_counts(rejects)},
                                      {"agencies", agencies},
                                      {"files", file_notes(notes_)},
                                      {"answers_digest", hex(written.digest)}};
    if (!has_request_) {
      summary.erase("rejects");
      summary["closed_agency"] = head_.merged_agency;
    }
    FUGO_TRY(add_sealed_mac(head_.id, notes_, head_.seal_key, summary));
    return write_summary_file(folder_, summary);
  }

  PairAnswers& pairs_;
  const AnswersPlace& place_;
  const std::filesystem::path folder_;
  const AnswerHead& head_;
  const bool both_;         // a symbol before and one after
  const bool has_request_;  // whose rows were rejected or carried out
  const KeepGoing& going_;
  std::map<keystore::AgencyNumber, const keystore::Agency*> agencies_;
  std::vector<FileNote> notes_;   // of the agencies, then rejects.csv, then the records
  std::vector<AnswerFile> open_;  // written, not yet synced; the last one may be being written
  bool writing_ = false;
  keystore::AgencyNumber agency_ = 0;  // of the last one
};

Result<WrittenAnswers> PairAnswers::write(const AnswersPlace& place, const AnswerHead& head,
                                          const nlohmann::ordered_json& counts,
                                          std::span<const keystore::Agency> registry,
                                          RejectList& rejects, const KeepGoing& going) {
  return Writer(*this, place, head, registry, going).run(counts, rejects);
}

}  // namespace fugo::daemon
