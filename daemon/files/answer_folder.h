// The folder of a job's answers: what all kinds put into it, publishing, and checking.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "daemon/files/answer_file.h"
#include "daemon/files/rejects.h"

namespace fugo::daemon {

// AnswersPlace is where a job's answers appear: DIR/<id>/, and RECORDS/<id>.csv for the kinds that
// tell the site about record symbols.
struct AnswersPlace {
  std::filesystem::path directory;
  std::string id;
  std::filesystem::path records = {};  // empty: none
};

// answers_path and temporary_answers_path name the folders of a job: DIR/<id> and DIR/.<id>.tmp.
[[nodiscard]] std::filesystem::path answers_path(const std::filesystem::path& directory,
                                                 const std::string& id);
[[nodiscard]] std::filesystem::path temporary_answers_path(const std::filesystem::path& directory,
                                                           const std::string& id);

// records_path and temporary_records_path name the file of record symbols; records_name is how the
// summary calls it.
[[nodiscard]] std::filesystem::path records_path(const AnswersPlace& place);
[[nodiscard]] std::filesystem::path temporary_records_path(const AnswersPlace& place);
[[nodiscard]] std::string records_name(const std::string& id);

// FileNote is what the summary says of one CSV file. Name and SHA-256 are those of the clear text,
// so that they are the same whenever it is made: an encrypted file never is.
struct FileNote {
  std::string name;
  std::uint64_t records = 0;
  Sha256 sha256{};
  std::optional<Sha256> sealed = std::nullopt;  // of the file name.p7m, if it is encrypted
};

// answer_name is the file's name for an agency, with or without encryption; answer_agency its
// inverse, empty for the name of another file. find_answer is the one that is in a folder.
[[nodiscard]] std::string answer_name(const std::string& agency, bool sealed);
[[nodiscard]] std::string answer_agency(const std::string& name);
[[nodiscard]] std::filesystem::path find_answer(const std::filesystem::path& folder,
                                                const std::string& agency);

// digest_of_notes is SHA-256 over the lines "<name> <SHA-256 in hex>\n", sorted by name; it sorts
// the notes.
[[nodiscard]] Result<Sha256> digest_of_notes(std::vector<FileNote>& notes);

// write_rejects writes and syncs rejects.csv.
[[nodiscard]] Result<FileNote> write_rejects(const std::filesystem::path& folder,
                                             RejectList& rejects);

// write_summary_file writes and syncs summary.json; reject_counts and file_notes are parts of it.
[[nodiscard]] Status write_summary_file(const std::filesystem::path& folder,
                                        const nlohmann::ordered_json& summary);
[[nodiscard]] nlohmann::ordered_json reject_counts(const RejectList& rejects);
[[nodiscard]] nlohmann::ordered_json file_notes(const std::vector<FileNote>& notes);

// add_sealed_mac adds "encrypted_mac" to a summary that tells of encrypted files. Each encryption
// comes out different, so the ledger cannot know these files by their digest: HMAC-SHA-256 under
// the request's key, over the id, their names and digests, says that it was this site that wrote
// them.
[[nodiscard]] Status add_sealed_mac(const std::string& id, const std::vector<FileNote>& notes,
                                    const SecretBytes<32>* key, nlohmann::ordered_json& summary);

// told_files is what a folder's summary.json says of its files.
[[nodiscard]] Result<std::vector<FileNote>> told_files(const std::filesystem::path& folder);

// publish_answers renames RECORDS/.<id>.csv.tmp and then DIR/.<id>.tmp to their names, and syncs
// both directories. What has no temporary name had been renamed before: success. kIo when DIR/<id>
// is there and cannot be replaced.
[[nodiscard]] Status publish_answers(const AnswersPlace& place);

// check_published is kRefused, saying so, when the CSV files in DIR/<id> are not those of `digest`
// (WrittenAnswers::digest). A file that summary.json names and that is not there was taken away by
// its receiver, and counts as the summary has it: it is not made again. `key` is the request's, of
// add_sealed_mac.
[[nodiscard]] Status check_published(const AnswersPlace& place,
                                     const std::array<std::uint8_t, 32>& digest,
                                     const SecretBytes<32>& key);

// count_answer_files is the number of agencies' files that were made, those included that were
// taken away since; 0 when the folder is not there.
[[nodiscard]] Result<std::uint64_t> count_answer_files(const AnswersPlace& place);

}  // namespace fugo::daemon
