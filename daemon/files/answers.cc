#include "daemon/files/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "daemon/files/answer_file.h"
#include "daemon/files/answer_merge.h"

namespace fugo::daemon {
namespace {

constexpr std::string_view kRejectsName = "rejects.csv";
constexpr std::string_view kSummaryName = "summary.json";
// So many files are written, then synced: syncing them together is much cheaper than one by one.
constexpr std::size_t kFilesAtATime = 64;

// FileNote is what the summary says of one CSV file.
struct FileNote {
  std::string name;
  std::uint64_t records = 0;
  Sha256 sha256{};
};

Result<Sha256> digest_of(std::vector<FileNote>& notes) {
  std::sort(notes.begin(), notes.end(),
            [](const FileNote& a, const FileNote& b) { return a.name < b.name; });
  FUGO_ASSIGN(auto stream, Sha256Stream::create());
  for (const auto& note : notes)
    FUGO_TRY(stream.update(as_bytes(fmt::format("{} {}\n", note.name, hex(note.sha256)))));
  return stream.finish();
}

// Writer makes one job's folder.
class Writer {
 public:
  Writer(std::filesystem::path folder, const AnswerHead& head, AnswerParts& parts,
         std::span<const keystore::Agency> agencies, RejectList& rejects)
      : folder_(std::move(folder)), head_(head), parts_(parts), rejects_(rejects) {
    for (const auto& agency : agencies) {
      if (codes_.size() <= agency.number) codes_.resize(agency.number + std::size_t{1});
      codes_[agency.number] = agency.code;
    }
  }

  Result<WrittenAnswers> run(std::size_t threads);

 private:
  Status count();
  Status write_agencies(std::size_t threads);
  Status write_some(std::size_t first, std::size_t last);
  Status write_rejects();
  Status write_summary();
  nlohmann::ordered_json counts_by_agency() const;

  const std::filesystem::path folder_;
  const AnswerHead& head_;
  AnswerParts& parts_;
  RejectList& rejects_;
  ByteView records_;
  std::vector<std::string> codes_;                // by agency number
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
  FUGO_TRY(write_rejects());
  FUGO_ASSIGN(written_.digest, digest_of(notes_));
  FUGO_TRY(write_summary());
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
    const keystore::AgencyNumber agency = answered_[i];
    const auto& count = parts_.counts()[agency];
    FileNote& note = notes_[i];
    note.name = codes_[agency] + ".csv";
    note.records = count.count_new + count.count_existing;
    FUGO_ASSIGN(auto file, AnswerFile::create(folder_ / note.name));
    FUGO_TRY(write_agency(parts_, records_, agency, head_.id, codes_[agency], file));
    FUGO_ASSIGN(note.sha256, file.finish());
    files.push_back(std::move(file));
  }
  for (auto& file : files) FUGO_TRY(file.sync());
  return {};
}

Status Writer::write_rejects() {
  FUGO_ASSIGN(auto file, AnswerFile::create(folder_ / kRejectsName));
  FUGO_TRY(file.append("line,processing_number,reason\n"));
  FUGO_TRY(rejects_.for_each([&file](const Reject& reject) -> Status {
    constexpr std::size_t kMostBytes = 128;
    FUGO_ASSIGN(char* const start, file.room(kMostBytes));
    const char* end = fmt::format_to(start, FMT_STRING("{},{},{}\n"), reject.line,
                                     reject.processing_number, reject_reason_name(reject.reason));
    file.take(static_cast<std::size_t>(end - start));
    return {};
  }));
  FUGO_ASSIGN(const Sha256 sha256, file.finish());
  notes_.push_back({std::string(kRejectsName), rejects_.size(), sha256});
  return file.sync();
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
  auto reasons = nlohmann::ordered_json::object();
  for (std::size_t i = 1; i < kRejectReasons; ++i)
    if (rejects_.counts()[i] != 0)
      reasons[std::string(reject_reason_name(static_cast<RejectReason>(i)))] = rejects_.counts()[i];
  auto files = nlohmann::ordered_json::array();
  for (const auto& note : notes_)
    files.push_back({{"name", note.name}, {"records", note.records}, {"sha256", hex(note.sha256)}});
  const nlohmann::ordered_json summary = {
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
      {"rejects", std::move(reasons)},
      {"agencies", counts_by_agency()},
      {"files", std::move(files)},
      {"answers_digest", hex(written_.digest)},
  };
  FUGO_ASSIGN(auto file, AnswerFile::create(folder_ / kSummaryName));
  FUGO_TRY(file.append(summary.dump(2) + "\n"));
  FUGO_TRY(file.finish().map([](const Sha256&) {}));
  return file.sync();
}

}  // namespace

std::filesystem::path answers_path(const std::filesystem::path& directory, const std::string& id) {
  return directory / id;
}

std::filesystem::path temporary_answers_path(const std::filesystem::path& directory,
                                             const std::string& id) {
  return directory / ("." + id + ".tmp");
}

Result<WrittenAnswers> write_answers(const std::filesystem::path& directory, const AnswerHead& head,
                                     AnswerParts& parts, std::span<const keystore::Agency> agencies,
                                     RejectList& rejects, std::size_t threads) {
  if (head.kind != keystore::JobKind::kIssue)
    return fail(ErrorCode::kInternal, "only issue requests are answered in this form");
  Writer writer(temporary_answers_path(directory, head.id), head, parts, agencies, rejects);
  FUGO_ASSIGN(auto written, writer.run(threads));
  FUGO_TRY(sync_directory(directory));
  return written;
}

Status publish_answers(const std::filesystem::path& directory, const std::string& id) {
  const auto from = temporary_answers_path(directory, id);
  std::error_code error;
  if (!std::filesystem::exists(from, error) && !error) return sync_directory(directory);
  return rename_durably(from, answers_path(directory, id));
}

Result<std::array<std::uint8_t, 32>> digest_published(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<FileNote> notes;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".csv") notes.push_back({entry->path().filename(), 0, {}});
  if (error) return fail_errno("cannot read", folder.string(), error.value());
  FUGO_TRY(parallel_ranges(notes.size(), kFilesAtATime, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                             for (std::size_t i = first; i < last; ++i) {
                               FUGO_ASSIGN(notes[i].sha256, hash_file(folder / notes[i].name));
                             }
                             return {};
                           }));
  return digest_of(notes);
}

Status check_published(const std::filesystem::path& folder,
                       const std::array<std::uint8_t, 32>& digest) {
  FUGO_ASSIGN(const auto found, digest_published(folder));
  if (found == digest) return {};
  return fail(ErrorCode::kRefused, "the answer files are not those that were made for this request",
              folder.string(), "move the folder away, and ask again");
}

}  // namespace fugo::daemon
