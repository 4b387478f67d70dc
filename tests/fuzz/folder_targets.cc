// Files that fugo wrote and reads again, and that others could change meanwhile.
#include <fstream>

#include "base/text.h"
#include "daemon/backup/backup.h"
#include "daemon/config.h"
#include "daemon/files/answer_folder.h"
#include "daemon/journal/signature.h"
#include "daemon/seeing/service_status.h"
#include "tests/fuzz/cursor.h"
#include "tests/fuzz/open_key.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::daemon;
using namespace fugo::fuzz;

// summary.json of a job's answers, or of a regeneration's mappings, beside two files.
FUGO_FUZZ(answer_summary) {
  put_file("out/JOB/131016.csv", as_bytes("processing_number,agency_symbol,status\n"));
  put_file("out/JOB/472018.csv.p7m", as_bytes("0"));
  const auto file = put_file("out/JOB/summary.json", input);
  const AnswersPlace place{file.parent_path().parent_path(), "JOB"};
  static const SecretBytes<32> key;
  (void)check_published(place, {}, key);
  if (count_answer_files(place)) reached();
}

FUGO_FUZZ(status_file) {
  const auto status = from_json(text_of(input), "f");
  if (!status) return;
  reached();
  must(from_json(to_json(*status), "f").has_value(), "a status that was read can be written");
}

// A configuration without a mistake is as good in another place.
FUGO_FUZZ(moved_configuration) {
  const auto text = text_of(input);
  auto settings = parse_settings(text, as_file(input, ".toml"));
  if (!settings) return;
  reached();
  const auto moved = daemon::moved_configuration(*settings);
  must(moved.has_value(), "it can be moved");
  const auto again = parse_settings(*moved, "/elsewhere/fugo.toml");
  must(again.has_value(), "and read there");
  must(again->module == settings->module && again->environment == settings->environment,
       "and says the same");
}

// The public key that a token, or the ledger's registry, gives for the journal key.
FUGO_FUZZ(journal_point) {
  auto row = open_journal_key(OpenKey::kOne);
  Cursor cursor(input);
  const auto point = cursor.take(67);
  row.public_key.assign(point.begin(), point.end());
  const auto signature = cursor.rest();
  const auto right = is_signed(row, "text", signature);
  if (right && *right) must(signature.size() > 64, "no signature is that short");
  const auto pem = public_key_pem(row);
  if (pem && right) reached();
  must(public_key_der(row).has_value() == pem.has_value(), "a key has both forms, or none");
}
