// MappingFolder: the files that tell agencies which new symbol stands for which old one.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/files/answer_file.h"
#include "daemon/files/answer_folder.h"
#include "engine/regenerate/mapper.h"
#include "engine/site.h"

namespace fugo::daemon {

// MappingFolder writes DIR/<run>/<agency_code>.csv, and for record symbols RECORDS/<run>.csv: names
// that no request has, since a run's id has a plus sign in it and no request's has. Until
// publish() the folder is DIR/.<run>.tmp/; afterwards single files are replaced in place. Each file
// is synced and renamed before the ledger says that it is there. take() is thread-safe.
class MappingFolder {
 public:
  // open makes the folder unless it is there, under either name.
  [[nodiscard]] static Result<std::unique_ptr<MappingFolder>> open(
      engine::Site& site, const keystore::RunRow& run, const std::filesystem::path& records);

  // keep_counts: the rows of files that are made again keep the counts that they have.
  void keep_counts(const std::vector<keystore::RunAgencyRow>& rows);

  // holds tells whether the file that a row of the ledger tells of is there, and for the
  // certificate that its agency has now.
  [[nodiscard]] bool holds(const keystore::RunAgencyRow& row) const;

  // take writes a part of an agency's pairs; see engine::TakePart. `deleted_people` is what the
  // rows say that the files were made after.
  [[nodiscard]] Status take(const engine::MappingPart& part, keystore::PersonId deleted_people);
  // forget removes the file of an agency that has no symbols any more.
  [[nodiscard]] Status forget(keystore::RunAgencyRow row, keystore::PersonId deleted_people);
  // settle commits the rows of all files that are complete.
  [[nodiscard]] Status settle();

  // publish writes summary.json anew and gives the folder its name; repeating it is fine.
  [[nodiscard]] Status publish(const keystore::RunRow& run);
  [[nodiscard]] std::filesystem::path path() const;

 private:
  MappingFolder(engine::Site& site, const keystore::RunRow& run,
                const std::filesystem::path& records);
  struct OpenFile {
    AnswerFile file;
    std::filesystem::path final_path;
  };
  // sealed_of is the SHA-256 of an agency's encrypted file; nothing where it is in the clear.
  // `told` is what the summary of before says.
  [[nodiscard]] Result<std::optional<Sha256>> sealed_of(keystore::AgencyNumber agency,
                                                        const std::vector<FileNote>& told);
  [[nodiscard]] std::filesystem::path file_of(keystore::AgencyNumber agency) const;
  // other_file_of is the name that the file has where the agency's certificate came or went since.
  [[nodiscard]] std::filesystem::path other_file_of(keystore::AgencyNumber agency) const;
  [[nodiscard]] Result<OpenFile> begin(const engine::MappingPart& part) const;
  [[nodiscard]] Status end(OpenFile& open, const engine::MappingPart& part,
                           keystore::PersonId deleted_people);

  engine::Site& site_;
  const keystore::RunRow run_;
  const std::filesystem::path directory_, records_;
  std::map<keystore::AgencyNumber, std::string> codes_;
  std::map<keystore::AgencyNumber, keystore::RunAgencyRow> kept_;
  std::map<keystore::AgencyNumber, std::vector<std::uint8_t>> certificates_;  // of those with one
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<keystore::AgencyNumber, OpenFile> open_;                 // between parts
  std::vector<keystore::RunAgencyRow> ready_;                       // renamed, not yet committed
  std::map<keystore::AgencyNumber, std::optional<Sha256>> sealed_;  // of files written here
};

// refuse_mappings_there is kRefused when something is where a run that has written nothing yet is
// to write: a request may have been answered there that has the run's id.
[[nodiscard]] Status refuse_mappings_there(const keystore::RunRow& run,
                                           const std::filesystem::path& records);

// destroy_mapping unlinks the file of an agency that has taken its mapping over, under either of
// the names that it may have; false when it is not there.
[[nodiscard]] Result<bool> destroy_mapping(const keystore::RunRow& run,
                                           const std::string& agency_code);

// unacknowledged_files are the mapping files of agencies that have acknowledged nothing, as far as
// they are there.
[[nodiscard]] Result<std::vector<std::filesystem::path>> unacknowledged_files(
    const keystore::Ledger& ledger, const keystore::RunRow& run);

// remove_mappings takes away everything that a run has written: it was aborted.
[[nodiscard]] Status remove_mappings(const keystore::RunRow& run,
                                     const std::filesystem::path& records);

}  // namespace fugo::daemon
