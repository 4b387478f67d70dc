#include "daemon/files/answer_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <system_error>

#include "base/file.h"
#include "base/parallel.h"
#include "base/secret.h"
#include "base/text.h"
#include "daemon/files/request_hmac.h"

namespace fugo::daemon {
namespace {

constexpr const char* kRejectsName = "rejects.csv";
constexpr const char* kSummaryName = "summary.json";
constexpr const char* kMacName = "encrypted_mac";
constexpr std::size_t kFilesAtATime = 64;
constexpr std::size_t kMaxSummaryBytes = 64U << 20U;

tl::unexpected<Error> not_ours(const std::filesystem::path& file) {
  return fail(ErrorCode::kRefused, "is not as fugo wrote it", file.string(),
              "move the folder away, and ask again");
}

Result<nlohmann::json> read_json(const std::filesystem::path& file) {
  FUGO_ASSIGN(const auto text, read_small(file, kMaxSummaryBytes));
  auto document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object()) return not_ours(file);
  return document;
}

// What summary.json says, which is the caller's to change: nothing is taken for granted.
struct Told {
  std::vector<FileNote> notes;
  std::string mac;  // of those that are encrypted, in hexadecimal
};

Result<Told> read_notes(const std::filesystem::path& folder) {
  FUGO_ASSIGN(const auto summary, read_json(folder / kSummaryName));
  Told told;
  if (const auto mac = summary.find(kMacName); mac != summary.end() && mac->is_string())
    told.mac = mac->get<std::string>();
  const auto files = summary.find("files");
  if (files == summary.end() || !files->is_array()) return not_ours(folder / kSummaryName);
  for (const auto& entry : *files) {
    FileNote note;
    const auto sha256 = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                                entry.contains("sha256") && entry["sha256"].is_string()
                            ? unhex(entry["sha256"].get<std::string>())
                            : std::nullopt;
    if (!sha256 || sha256->size() != note.sha256.size()) return not_ours(folder / kSummaryName);
    note.name = entry["name"].get<std::string>();
    std::copy(sha256->begin(), sha256->end(), note.sha256.begin());
    if (const auto at = entry.find("encrypted_sha256"); at != entry.end()) {
      const auto sealed = at->is_string() ? unhex(at->get<std::string>()) : std::nullopt;
      if (!sealed || sealed->size() != note.sha256.size()) return not_ours(folder / kSummaryName);
      std::copy(sealed->begin(), sealed->end(), note.sealed.emplace().begin());
    }
    told.notes.push_back(std::move(note));
  }
  return told;
}

// clear_name is the name that a CSV file has in the clear; empty for another file.
std::string clear_name(const std::filesystem::path& file) {
  const auto clear = file.extension() == kSealedSuffix ? file.stem() : file.filename();
  return clear.extension() == ".csv" ? clear.string() : std::string();
}

// The CSV files that are in the folder, hashed; of those that are encrypted only the file itself.
Result<std::vector<FileNote>> hash_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<FileNote> notes;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (const auto name = clear_name(entry->path()); !name.empty())
      notes.push_back(
          {name, 0, {}, name == entry->path().filename() ? std::nullopt : std::optional(Sha256{})});
  if (error) return fail_errno("cannot read", folder.string(), error.value());
  FUGO_TRY(parallel_ranges(notes.size(), kFilesAtATime, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                             for (std::size_t i = first; i < last; ++i) {
                               FileNote& note = notes[i];
                               const std::string suffix = note.sealed ? kSealedSuffix : "";
                               FUGO_ASSIGN((note.sealed ? *note.sealed : note.sha256),
                                           hash_file(folder / (note.name + suffix)));
                             }
                             return {};
                           }));
  return notes;
}

// Adds the file of record symbols, if it is still there.
Status add_records(const AnswersPlace& place, std::vector<FileNote>& notes) {
  std::error_code error;
  if (place.records.empty() || !std::filesystem::exists(records_path(place), error)) return {};
  FUGO_ASSIGN(const auto sha256, hash_file(records_path(place)));
  notes.push_back({records_name(place.id), 0, sha256});
  return {};
}

// mac_of_sealed is in hexadecimal; see add_sealed_mac. No request begins as this text does.
Result<std::string> mac_of_sealed(const std::string& id, std::vector<FileNote> notes,
                                  const SecretBytes<32>& key) {
  std::sort(notes.begin(), notes.end(),
            [](const FileNote& a, const FileNote& b) { return a.name < b.name; });
  std::string lines = "fugo-encrypted-answers " + id + "\n";
  for (const FileNote& note : notes)
    if (note.sealed)
      lines += fmt::format("{} {} {}\n", note.name, hex(note.sha256), hex(*note.sealed));
  SurveyOptions options;
  options.hmac_key = &key;
  std::array<std::uint8_t, 32> mac{};
  const std::atomic<bool> never{false};
  FUGO_TRY(request_hmac(lines, options, never, mac));
  return hex(mac);
}

// Adds what the summary says of files that were taken away, and of the clear text of encrypted ones
// that are as they were written.
Status add_told(const AnswersPlace& place, const SecretBytes<32>& key,
                std::vector<FileNote>& notes) {
  FUGO_ASSIGN(auto told, read_notes(answers_path(place.directory, place.id)));
  FUGO_ASSIGN(const auto mac, mac_of_sealed(place.id, told.notes, key));
  const bool ours = equal_in_constant_time(as_bytes(mac), as_bytes(told.mac));
  std::set<std::string> there;
  for (auto& note : notes) {
    there.insert(note.name);
    const auto same =
        std::find_if(told.notes.begin(), told.notes.end(), [&](const FileNote& other) {
          return note.sealed && other.name == note.name && other.sealed == note.sealed;
        });
    if (ours && same != told.notes.end()) note.sha256 = same->sha256;
  }
  for (auto& note : told.notes)
    if (there.count(note.name) == 0) notes.push_back(std::move(note));
  return {};
}

}  // namespace

std::filesystem::path answers_path(const std::filesystem::path& directory, const std::string& id) {
  return directory / id;
}

std::filesystem::path temporary_answers_path(const std::filesystem::path& directory,
                                             const std::string& id) {
  return directory / ("." + id + ".tmp");
}

std::filesystem::path records_path(const AnswersPlace& place) {
  return place.records / (place.id + ".csv");
}

std::filesystem::path temporary_records_path(const AnswersPlace& place) {
  return place.records / ("." + place.id + ".csv.tmp");
}

std::string answer_name(const std::string& agency, bool sealed) {
  return agency + ".csv" + (sealed ? kSealedSuffix : "");
}

std::string answer_agency(const std::string& name) {
  return std::filesystem::path(clear_name(name)).stem().string();
}

std::filesystem::path find_answer(const std::filesystem::path& folder, const std::string& agency) {
  std::error_code ignored;
  const auto sealed = folder / answer_name(agency, true);
  return std::filesystem::exists(sealed, ignored) ? sealed : folder / answer_name(agency, false);
}

std::string records_name(const std::string& id) { return "records/" + id + ".csv"; }

Result<Sha256> digest_of_notes(std::vector<FileNote>& notes) {
  std::sort(notes.begin(), notes.end(),
            [](const FileNote& a, const FileNote& b) { return a.name < b.name; });
  FUGO_ASSIGN(auto stream, Sha256Stream::create());
  for (const auto& note : notes)
    FUGO_TRY(stream.update(as_bytes(fmt::format("{} {}\n", note.name, hex(note.sha256)))));
  return stream.finish();
}

Result<FileNote> write_rejects(const std::filesystem::path& folder, RejectList& rejects) {
  FUGO_ASSIGN(auto file, AnswerFile::create(folder / kRejectsName));
  FUGO_TRY(file.append("line,processing_number,reason\n"));
  FUGO_TRY(rejects.for_each([&file](const Reject& reject) -> Status {
    constexpr std::size_t kMostBytes = 128;
    FUGO_ASSIGN(char* const start, file.room(kMostBytes));
    const char* end = fmt::format_to(start, FMT_STRING("{},{},{}\n"), reject.line,
                                     reject.processing_number, reject_reason_name(reject.reason));
    file.take(static_cast<std::size_t>(end - start));
    return {};
  }));
  FUGO_ASSIGN(const Sha256 sha256, file.finish());
  FUGO_TRY(file.sync());
  return FileNote{kRejectsName, rejects.size(), sha256};
}

Status write_summary_file(const std::filesystem::path& folder,
                          const nlohmann::ordered_json& summary) {
  FUGO_ASSIGN(auto file, AnswerFile::create(folder / kSummaryName));
  FUGO_TRY(file.append(summary.dump(2) + "\n"));
  FUGO_TRY(file.finish().map([](const Sha256&) {}));
  return file.sync();
}

nlohmann::ordered_json reject_counts(const RejectList& rejects) {
  auto reasons = nlohmann::ordered_json::object();
  for (std::size_t i = 1; i < kRejectReasons; ++i)
    if (rejects.counts()[i] != 0)
      reasons[std::string(reject_reason_name(static_cast<RejectReason>(i)))] = rejects.counts()[i];
  return reasons;
}

nlohmann::ordered_json file_notes(const std::vector<FileNote>& notes) {
  auto files = nlohmann::ordered_json::array();
  for (const auto& note : notes) {
    files.push_back({{"name", note.name}, {"records", note.records}, {"sha256", hex(note.sha256)}});
    if (!note.sealed) continue;
    files.back()["encrypted"] = note.name + kSealedSuffix;
    files.back()["encrypted_sha256"] = hex(*note.sealed);
  }
  return files;
}

Status add_sealed_mac(const std::string& id, const std::vector<FileNote>& notes,
                      const SecretBytes<32>* key, nlohmann::ordered_json& summary) {
  const bool any = std::any_of(notes.begin(), notes.end(),
                               [](const FileNote& note) { return note.sealed.has_value(); });
  if (!any || key == nullptr) return {};
  FUGO_ASSIGN(summary[kMacName], mac_of_sealed(id, notes, *key));
  return {};
}

Result<std::vector<FileNote>> told_files(const std::filesystem::path& folder) {
  FUGO_ASSIGN(auto told, read_notes(folder));
  return std::move(told.notes);
}

Status publish_answers(const AnswersPlace& place) {
  const auto from = temporary_answers_path(place.directory, place.id);
  std::error_code error;
  if (!place.records.empty()) {
    const auto records = temporary_records_path(place);
    if (std::filesystem::exists(records, error) || error)
      FUGO_TRY(rename_durably(records, records_path(place)));
    else
      FUGO_TRY(sync_directory(place.records));
  }
  if (!std::filesystem::exists(from, error) && !error) return sync_directory(place.directory);
  return rename_durably(from, answers_path(place.directory, place.id));
}

Status check_published(const AnswersPlace& place, const std::array<std::uint8_t, 32>& digest,
                       const SecretBytes<32>& key) {
  const auto folder = answers_path(place.directory, place.id);
  FUGO_ASSIGN(auto notes, hash_files(folder));
  FUGO_TRY(add_records(place, notes));
  FUGO_TRY(add_told(place, key, notes));
  FUGO_ASSIGN(const auto found, digest_of_notes(notes));
  if (found == digest) return {};
  return fail(ErrorCode::kRefused, "the answer files are not those that were made for this request",
              folder.string(), "move the folder away, and ask again");
}

Result<std::uint64_t> count_answer_files(const AnswersPlace& place) {
  const auto folder = answers_path(place.directory, place.id);
  std::error_code error;
  if (!std::filesystem::exists(folder / kSummaryName, error)) return 0;
  FUGO_ASSIGN(const auto told, read_notes(folder));
  return static_cast<std::uint64_t>(
      std::count_if(told.notes.begin(), told.notes.end(), [](const FileNote& note) {
        return note.name != kRejectsName && note.name.find('/') == std::string::npos;
      }));
}

}  // namespace fugo::daemon
