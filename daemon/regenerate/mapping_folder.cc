#include "daemon/regenerate/mapping_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/files/answer_folder.h"
#include "engine/regenerate/run_plan.h"
#include "engine/regenerate/run_steps.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRowsAtOnce = 64;  // agencies of one commit

Status write_pair(const engine::MappedPair& pair, AnswerFile& file) {
  FUGO_ASSIGN(char* const start, file.room(2 * kSymbolTextLength + 2));
  encode_symbol(pair.old_symbol, start);
  start[kSymbolTextLength] = ',';
  encode_symbol(pair.new_symbol, start + kSymbolTextLength + 1);
  start[2 * kSymbolTextLength + 1] = '\n';
  file.take(2 * kSymbolTextLength + 2);
  return {};
}

fs::path aliases_path(const keystore::RunRow& run, const fs::path& records) {
  return records / (run.id + ".csv");
}

fs::path temporary(const fs::path& path) {
  return path.parent_path() / ("." + path.filename().string() + ".tmp");
}

Status remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail_errno("cannot remove", path.string(), error.value());
  return {};
}

}  // namespace

MappingFolder::MappingFolder(engine::Site& site, const keystore::RunRow& run,
                             const fs::path& records)
    : site_(site), run_(run), directory_(run.output_directory), records_(records) {
  for (const auto& agency : site.agencies()) {
    codes_[agency.number] = agency.code;
    if (!agency.certificate.empty()) certificates_[agency.number] = agency.certificate;
  }
}

Result<std::unique_ptr<MappingFolder>> MappingFolder::open(engine::Site& site,
                                                           const keystore::RunRow& run,
                                                           const fs::path& records) {
  std::unique_ptr<MappingFolder> folder(new MappingFolder(site, run, records));
  FUGO_TRY(make_directory(folder->directory_));
  FUGO_TRY(make_directory(records));
  FUGO_TRY(make_directory(folder->path()));
  return folder;
}

fs::path MappingFolder::path() const {
  const fs::path published = answers_path(directory_, run_.id);
  std::error_code ignored;
  return fs::exists(published, ignored) ? published : temporary_answers_path(directory_, run_.id);
}

fs::path MappingFolder::file_of(keystore::AgencyNumber agency) const {
  if (agency == 0) return aliases_path(run_, records_);
  return path() / answer_name(codes_.at(agency), certificates_.count(agency) != 0);
}

fs::path MappingFolder::other_file_of(keystore::AgencyNumber agency) const {
  return path() / answer_name(codes_.at(agency), certificates_.count(agency) == 0);
}

void MappingFolder::keep_counts(const std::vector<keystore::RunAgencyRow>& rows) {
  for (const auto& row : rows) kept_[row.agency] = row;
}

bool MappingFolder::holds(const keystore::RunAgencyRow& row) const {
  std::error_code error;
  const auto bytes = fs::file_size(file_of(row.agency), error);
  if (error || bytes != row.bytes) return false;
  // Encrypted to another certificate it has the same name and the same size.
  const auto certificate = certificates_.find(row.agency);
  return certificate == certificates_.end() ||
         is_sealed_to(file_of(row.agency), certificate->second);
}

Result<MappingFolder::OpenFile> MappingFolder::begin(const engine::MappingPart& part) const {
  OpenFile open;
  open.final_path = file_of(part.agency);
  FUGO_TRY(remove_tree(temporary(open.final_path)));
  const auto certificate = certificates_.find(part.agency);
  FUGO_ASSIGN(open.file,
              AnswerFile::create(temporary(open.final_path), certificate == certificates_.end()
                                                                 ? ByteView()
                                                                 : ByteView(certificate->second)));
  FUGO_TRY(open.file.append(
      part.agency == 0
          ? std::string("old_record_symbol,new_record_symbol\n")
          : fmt::format("#fugo-mapping,version=1,run={},agency={},from={},to={},records={}\n"
                        "old_symbol,new_symbol\n",
                        run_.id, codes_.at(part.agency), run_.from, run_.to, part.total)));
  return open;
}

Status MappingFolder::take(const engine::MappingPart& part, keystore::PersonId deleted_people) {
  OpenFile open;
  if (part.first) {
    FUGO_ASSIGN(open, begin(part));
  } else {
    const std::lock_guard lock(mutex_);
    open = std::move(open_.extract(part.agency).mapped());
  }
  for (std::size_t i = 0; i < part.pairs.size(); ++i) FUGO_TRY(write_pair(part.pair(i), open.file));
  if (part.last) return end(open, part, deleted_people);
  const std::lock_guard lock(mutex_);
  open_.emplace(part.agency, std::move(open));
  return {};
}

Status MappingFolder::end(OpenFile& open, const engine::MappingPart& part,
                          keystore::PersonId deleted_people) {
  keystore::RunAgencyRow row;
  row.run = run_.number;
  row.agency = part.agency;
  row.symbols = part.total;
  row.deleted_people = deleted_people;
  if (const auto kept = kept_.find(part.agency); kept != kept_.end()) row = kept->second;
  FUGO_ASSIGN(row.sha256, open.file.finish());
  FUGO_TRY(open.file.sync());
  const fs::path written = temporary(open.final_path);
  std::error_code error;
  row.bytes = fs::file_size(written, error);
  if (!error) fs::rename(written, open.final_path, error);
  if (error) return fail_errno("cannot rename", written.string(), error.value());
  if (part.agency != 0) FUGO_TRY(remove_tree(other_file_of(part.agency)));
  bool many = false;
  {
    const std::lock_guard lock(mutex_);
    ready_.push_back(row);
    sealed_[part.agency] = open.file.sealed();
    many = ready_.size() >= kRowsAtOnce;
  }
  return many ? settle() : Status{};
}

Status MappingFolder::forget(keystore::RunAgencyRow row, keystore::PersonId deleted_people) {
  FUGO_TRY(remove_tree(file_of(row.agency)));
  if (row.agency != 0) FUGO_TRY(remove_tree(other_file_of(row.agency)));
  row.symbols = row.bytes = 0;
  row.sha256 = {};
  row.deleted_people = deleted_people;
  const std::lock_guard lock(mutex_);
  ready_.push_back(row);
  return {};
}

Status MappingFolder::settle() {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) return {};
  FUGO_TRY(sync_directory(path()));
  FUGO_TRY(sync_directory(records_));
  FUGO_ASSIGN(auto update, site_.ledger().begin());
  FUGO_ASSIGN(const auto stored, site_.ledger().run_agencies(run_.number));
  for (auto row : ready_) {
    // An agency may have acknowledged meanwhile: then its file has to go.
    for (const auto& other : stored) {
      if (other.agency != row.agency || other.acknowledged == 0) continue;
      row.acknowledged = other.acknowledged;
      row.acknowledged_by = other.acknowledged_by;
      FUGO_TRY(remove_tree(file_of(row.agency)));
    }
    FUGO_TRY(update->put_run_agency(row));
  }
  FUGO_TRY(update->commit());
  ready_.clear();
  return sync_directory(path());
}

Result<std::optional<Sha256>> MappingFolder::sealed_of(keystore::AgencyNumber agency,
                                                       const std::vector<FileNote>& told) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto mine = sealed_.find(agency); mine != sealed_.end()) return mine->second;
  }
  const std::string name = answer_name(codes_.at(agency), false);
  const fs::path file = path() / answer_name(codes_.at(agency), true);
  std::error_code error;
  const bool there = fs::exists(file, error);
  if (!there && fs::exists(path() / name, error)) return std::optional<Sha256>();
  // What was written behind the summary was never told of: whoever wrote it died.
  const auto same = std::find_if(told.begin(), told.end(),
                                 [&](const FileNote& note) { return note.name == name; });
  if (same != told.end() && (!there || fs::last_write_time(file, error) <=
                                           fs::last_write_time(path() / "summary.json", error)))
    return same->sealed;
  if (!there) return std::optional<Sha256>();
  FUGO_ASSIGN(const Sha256 sha256, hash_file(file));
  return std::optional<Sha256>(sha256);
}

Status MappingFolder::publish(const keystore::RunRow& run) {
  FUGO_ASSIGN(const auto rows, site_.ledger().run_agencies(run.number));
  auto agencies = nlohmann::ordered_json::object();
  const auto told = told_files(path()).value_or(std::vector<FileNote>());
  std::vector<FileNote> notes;
  std::map<std::string, std::uint64_t> symbols;
  for (const auto& row : rows) {
    if (row.symbols == 0) continue;
    notes.push_back({row.agency == 0 ? records_name(run.id) : codes_.at(row.agency) + ".csv",
                     row.symbols, row.sha256});
    if (row.agency == 0) continue;
    FUGO_ASSIGN(notes.back().sealed, sealed_of(row.agency, told));
    symbols[codes_.at(row.agency)] = row.symbols;
  }
  for (const auto& [code, count] : symbols) agencies[code] = {{"symbols", count}};
  std::sort(notes.begin(), notes.end(),
            [](const FileNote& a, const FileNote& b) { return a.name < b.name; });
  const nlohmann::ordered_json summary = {{"format", "fugo-regeneration"},
                                          {"version", 1},
                                          {"run", run.id},
                                          {"what", engine::what_names(run.what)},
                                          {"environment", site_.ledger().header().environment},
                                          {"planned", format_time(run.planned)},
                                          {"from", run.from},
                                          {"to", run.to},
                                          {"people", run.people_made},
                                          {"people_rebased", run.people_rebased},
                                          {"symbols", run.symbols_mapped},
                                          {"records", run.records_mapped},
                                          {"agencies", agencies},
                                          {"files", file_notes(notes)}};
  const fs::path folder = path();
  FUGO_TRY(write_durably(folder / "summary.json", as_bytes(summary.dump(2) + "\n"), 0600));
  const fs::path published = answers_path(directory_, run_.id);
  return folder == published ? Status{} : rename_durably(folder, published);
}

Status refuse_mappings_there(const keystore::RunRow& run, const fs::path& records) {
  const fs::path directory = run.output_directory;
  for (const fs::path& path :
       {answers_path(directory, run.id), temporary_answers_path(directory, run.id),
        aliases_path(run, records)}) {
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(path, ignored)))
      return fail(ErrorCode::kRefused, "is there already", path.string(),
                  "move it away, or choose another --out");
  }
  return {};
}

Result<bool> destroy_mapping(const keystore::RunRow& run, const std::string& agency_code) {
  const fs::path folder = answers_path(run.output_directory, run.id);
  bool there = false;
  // Both names: a crash while the agency's certificate came or went leaves two files.
  for (const bool sealed : {true, false}) {
    const fs::path path = folder / answer_name(agency_code, sealed);
    if (::unlink(path.c_str()) == 0)
      there = true;
    else if (errno != ENOENT)
      return fail_errno("cannot remove", path.string(), errno);
  }
  if (there) FUGO_TRY(sync_directory(folder));
  return there;
}

Result<std::vector<fs::path>> unacknowledged_files(const keystore::Ledger& ledger,
                                                   const keystore::RunRow& run) {
  FUGO_ASSIGN(const auto waiting, engine::waiting_agencies(ledger, run));
  std::vector<fs::path> files;
  for (const auto& code : waiting) {
    for (const bool sealed : {true, false}) {
      fs::path path = answers_path(run.output_directory, run.id) / answer_name(code, sealed);
      std::error_code ignored;
      if (fs::exists(path, ignored)) files.push_back(std::move(path));
    }
  }
  return files;
}

Status remove_mappings(const keystore::RunRow& run, const fs::path& records) {
  if (run.output_directory.empty()) return {};
  const fs::path directory = run.output_directory;
  const fs::path aliases = aliases_path(run, records);
  for (const fs::path& path :
       {answers_path(directory, run.id), temporary_answers_path(directory, run.id), aliases,
        temporary(aliases)})
    FUGO_TRY(remove_tree(path));
  std::error_code ignored;
  if (fs::exists(directory, ignored)) FUGO_TRY(sync_directory(directory));
  return fs::exists(records, ignored) ? sync_directory(records) : Status{};
}

}  // namespace fugo::daemon
