#include "daemon/files/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "daemon/files/answer_file.h"
#include "daemon/files/answer_merge.h"

namespace fugo::daemon {
namespace {

// So many files are written, then synced: syncing them together is much cheaper than one by one.
constexpr std::size_t kFilesAtATime = 64;

// Writer makes one job's folder.
class Writer {
 public:
  Writer(std::filesystem::path folder, const AnswerHead& head, AnswerParts& parts,
         std::span<const keystore::Agency> agencies, RejectList& rejects, const KeepGoing& going)
      : folder_(std::move(folder)), head_(head), parts_(parts), rejects_(rejects), going_(going) {
    for (const auto& agency : agencies) {
      if (codes_.size() <= agency.number) codes_.resize(agency.number + std::size_t{1});
      codes_[agency.number] = agency.code;
      if (!agency.certificate.empty()) certificates_[agency.number] = agency.certificate;
    }
  }

  Result<WrittenAnswers> run(std::size_t threads);

 private:
  Status count();
  Status write_agencies(std::size_t threads);
  Status write_some(std::size_t first, std::size_t last);
  Status write_summary();
  nlohmann::ordered_json counts_by_agency() const;

  const std::filesystem::path folder_;
  const AnswerHead& head_;
  AnswerParts& parts_;
  RejectList& rejects_;
  const KeepGoing& going_;
  ByteView records_;
  std::vector<std::string> codes_;  // by agency number
  std::map<keystore::AgencyNumber, std::vector<std::uint8_t>> certificates_;
  std::vector<keystore::AgencyNumber> answered_;  // agencies that get a file
  std::vector<FileNote> notes_;                   // of answered_, then rejects.csv
  WrittenAnswers written_;
};

Result<WrittenAnswers> Writer::run(std::size_t threads) {
  FUGO_TRY(count());
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
  if (error) return fail_errno("cannot remove", folder_.string(), error.value());
  FUGO_TRY(make_directory(folder_));
  if (!answered_.empty()) {
    FUGO_ASSIGN(records_, parts_.map());
  }
  FUGO_TRY(write_agencies(threads));
  FUGO_ASSIGN(auto rejects_note, write_rejects(folder_, rejects_));
  notes_.push_back(std::move(rejects_note));
  FUGO_ASSIGN(written_.digest, digest_of_notes(notes_));
  FUGO_TRY(write_summary());
  FUGO_TRY(going_());
  FUGO_TRY(sync_directory(folder_));
  return written_;
}

Status Writer::count() {
  const auto& counts = parts_.counts();
  for (std::size_t number = 0; number < counts.size(); ++number) {
    if (counts[number].count_new + counts[number].count_existing == 0) continue;
    if (number >= codes_.size() || codes_[number].empty())
      return fail(ErrorCode::kInternal, "an answer is for an agency that is not registered");
    answered_.push_back(static_cast<keystore::AgencyNumber>(number));
    written_.count_new += counts[number].count_new;
    written_.count_existing += counts[number].count_existing;
  }
  written_.agencies = answered_.size();
  written_.count_rejected = rejects_.size();
  if (written_.count_new + written_.count_existing + written_.count_rejected != head_.rows)
    return fail(ErrorCode::kInternal, "answers and rejects are not as many as the request's rows",
                "request " + head_.id);
  return {};
}

Status Writer::write_agencies(std::size_t threads) {
  notes_.resize(answered_.size());
  return parallel_ranges(
      answered_.size(), kFilesAtATime, threads,
      [this](std::size_t first, std::size_t last, std::size_t) { return write_some(first, last); });
}

Status Writer::write_some(std::size_t first, std::size_t last) {
  std::vector<AnswerFile> files;
  for (std::size_t i = first; i < last; ++i) {
    FUGO_TRY(going_());
    const keystore::AgencyNumber agency = answered_[i];
    const auto& count = parts_.counts()[agency];
    FileNote& note = notes_[i];
    const auto certificate = certificates_.find(agency);
    const bool sealed = certificate != certificates_.end();
    note.name = answer_name(codes_[agency], false);
    note.records = count.count_new + count.count_existing;
    FUGO_ASSIGN(auto file, AnswerFile::create(folder_ / answer_name(codes_[agency], sealed),
                                              sealed ? ByteView(certificate->second) : ByteView()));
    FUGO_TRY(write_agency(parts_, records_, agency, head_.id, codes_[agency], file, going_));
    FUGO_ASSIGN(note.sha256, file.finish());
    note.sealed = file.sealed();
    files.push_back(std::move(file));
  }
  for (auto& file : files) FUGO_TRY(file.sync());
  return {};
}

nlohmann::ordered_json Writer::counts_by_agency() const {
  const auto& rejected = head_.rejected_by_agency;
  std::vector<std::pair<std::string, std::size_t>> order;
  for (std::size_t number = 0; number < codes_.size(); ++number) {
    const bool answered = std::binary_search(answered_.begin(), answered_.end(), number);
    const bool has_rejects = number < rejected.size() && rejected[number] != 0;
    if (!codes_[number].empty() && (answered || has_rejects))
      order.emplace_back(codes_[number], number);
  }
  std::sort(order.begin(), order.end());
  auto by_agency = nlohmann::ordered_json::object();
  for (const auto& [code, number] : order) {
    AnswerParts::Count count;
    if (number < parts_.counts().size()) count = parts_.counts()[number];
    nlohmann::ordered_json entry = {{"new", count.count_new}, {"existing", count.count_existing}};
    if (!rejected.empty()) entry["rejected"] = number < rejected.size() ? rejected[number] : 0;
    by_agency[code] = std::move(entry);
  }
  return by_agency;
}

Status Writer::write_summary() {
  nlohmann::ordered_json summary = {
      {"format", "fugo-summary"},
      {"version", 1},
      {"id", head_.id},
      {"kind", "issue"},
      {"environment", head_.environment},
      {"issued", format_time(head_.time)},
      {"symbol_version", head_.symbol_version},
      {"rows", head_.rows},
      {"counts",
       {{"new", written_.count_new},
        {"existing", written_.count_existing},
        {"rejected", written_.count_rejected}}},
      {"rejects", reject_counts(rejects_)},
      {"agencies", counts_by_agency()},
      {"files", file_notes(notes_)},
      {"answers_digest", hex(written_.digest)},
  };
  FUGO_TRY(add_sealed_mac(head_.id, notes_, head_.seal_key, summary));
  return write_summary_file(folder_, summary);
}

}  // namespace

Result<WrittenAnswers> write_answers(const std::filesystem::path& directory, const AnswerHead& head,
                                     AnswerParts& parts, std::span<const keystore::Agency> agencies,
                                     RejectList& rejects, const KeepGoing& going,
                                     std::size_t threads) {
  if (head.kind != keystore::JobKind::kIssue)
    return fail(ErrorCode::kInternal, "only issue requests are answered in this form");
  Writer writer(temporary_answers_path(directory, head.id), head, parts, agencies, rejects, going);
  FUGO_ASSIGN(auto written, writer.run(threads));
  FUGO_TRY(sync_directory(directory));
  return written;
}

}  // namespace fugo::daemon
