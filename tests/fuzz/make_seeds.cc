// Seeds that no file of a site is: one valid row of each kind, a header, symbols and uses.
//   fugo-fuzz-seeds DIRECTORY
#include <fstream>
#include <iostream>

#include "base/text.h"
#include "daemon/link_usage.h"
#include "keystore/rows.h"
#include "tests/fuzz/open_key.h"

using namespace fugo;

namespace {

void write(const std::filesystem::path& path, ByteView bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

template <typename Row>
void seed(const std::filesystem::path& corpus, char number, const char* name, const Row& row) {
  const auto content = keystore::encode_row(row);
  if (!content) {
    std::cerr << name << ": " << content.error().message() << "\n";
    std::exit(1);
  }
  std::string text(1, number);
  text.append(content->bytes().begin(), content->bytes().end());
  write(corpus / "rows" / (std::string("made-") + name), as_bytes(text));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path corpus = argv[1];
  keystore::Agency agency;
  agency.number = 1;
  agency.code = "131016";
  agency.name = "Chiyoda";
  agency.versions.resize(1);
  keystore::JobRow job;
  job.number = 1;
  job.id = "JOB";
  job.segment_rows = 100;
  job.rows = 300;
  keystore::FileRow file;
  file.number = 7;
  file.kind = keystore::FileKind::kIssued;
  file.entries = 99;
  keystore::PersonPatch patch;
  patch.id = 3;
  patch.generation = 1;
  patch.state = keystore::PersonState::kSuperseded;
  keystore::RunRow run;
  run.number = 1;
  run.id = "R+0001";
  run.what = 1;
  run.from = 1;
  run.to = 2;
  keystore::RunAgencyRow run_agency;
  run_agency.run = 1;
  run_agency.agency = 1;
  keystore::JournalEntry entry;
  entry.act = "init";
  entry.details = "{}";
  seed(corpus, 0, "state", keystore::LedgerState{});
  seed(corpus, 1, "agency", agency);
  seed(corpus, 2, "key", fuzz::open_journal_key(fuzz::OpenKey::kOne));
  seed(corpus, 3, "generation", keystore::GenerationRow{});
  seed(corpus, 4, "job", job);
  seed(corpus, 5, "job-id", keystore::JobIdRow{1});
  seed(corpus, 6, "segment", keystore::SegmentRow{1, 1, 1, 0, 1, 1, 1});
  seed(corpus, 7, "day", keystore::StatDay{"2026-11-20", {{"2026-11-20", 1, 1, 5, 24, 300}}});
  seed(corpus, 8, "file", file);
  seed(corpus, 9, "patch", patch);
  seed(corpus, 10, "run", run);
  seed(corpus, 11, "run-agency", run_agency);
  seed(corpus, 12, "entry", entry);
  const auto symbol = encode_symbol(Block{{1, 2, 3}});
  write(corpus / "symbol_text/made-symbol", as_bytes(symbol));
  write(corpus / "link_file/made-symbols", as_bytes(symbol + "\r\n" + symbol + "\n"));
  const daemon::UsageSummary summary{"core",
                                     7,
                                     1'700'000'000,
                                     1'700'000'060,
                                     "operator",
                                     "W-1",
                                     {{"131016", 9, 7}, {"472018", 1, 0}}};
  write(corpus / "usage_file/made-two", as_bytes(daemon::encode_summary(summary)));
  keystore::LedgerHeader header;
  header.ledger_id.bytes = {1, 2, 3};
  header.environment = "test";
  header.wrapped_data_key = {1, 2, 3, 4};
  auto encoded = keystore::encode_header(header);
  if (!encoded) return 1;
  encoded->resize(encoded->size() - 32);  // the target makes the hash
  write(corpus / "ledger_header/made-header", *encoded);
}
