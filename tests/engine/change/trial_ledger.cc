#include "tests/engine/change/trial_ledger.h"

#include <algorithm>
#include <stdexcept>

#include "keystore/verify_content.h"
#include "keystore/verify_tables.h"

namespace fugo::engine::testing {
namespace {

using keystore::Access;
using keystore::AgencyNumber;

std::vector<keystore::KeyRow> key_rows() {
  const auto& tokens = hsm::testing::shared_tokens();
  std::vector<keystore::KeyRow> rows;
  for (const auto& name : tokens.names) {
    keystore::KeyRow row;
    row.purpose = static_cast<std::uint8_t>(name.purpose);
    row.algorithm = static_cast<std::uint8_t>(name.algorithm);
    row.version = name.version;
    row.state = keystore::KeyState::kActive;
    row.label = hsm::key_label(name);
    row.fingerprint = tokens.fingerprint(name);
    rows.push_back(row);
  }
  return rows;
}

keystore::Agency make_agency(AgencyNumber number) {
  keystore::Agency agency;
  agency.code = "A" + std::to_string(number);
  agency.name = agency.code;
  agency.versions.resize(1);
  const bool xts = number == 2 && hsm::testing::abilities().blocks;
  const auto method = xts ? MethodNumber::kXtsAes256 : MethodNumber::kCmacFfAes256;
  agency.versions[0].method = static_cast<std::uint8_t>(method);
  store_be(agency.versions[0].parameter.bytes.data(), std::uint64_t{number} * 0x1234567);
  return agency;
}

}  // namespace

TrialLedger::TrialLedger(std::uint8_t linkage_method, AgencyNumber agencies) {
  std::filesystem::create_directory(directory());
  const auto& tokens = hsm::testing::shared_tokens();
  keystore::LedgerHeader header;
  header.ledger_id.bytes = {4, 3, 2, 1};
  header.environment = "test";
  header.wrapped_data_key = tokens.ceremony.wrapped_data_key;
  const auto token = must(hsm::Token::open(tokens.issuing));
  const auto wrap = must(
      token->find_key({hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256, 1}, std::nullopt));
  const auto data_key = must(token->unwrap_data_key(wrap, header.wrapped_data_key));
  must(keystore::Ledger::create(directory(), header, data_key,
                                [&](keystore::Update& update) -> Status {
                                  for (const auto& row : key_rows()) FUGO_TRY(update.put_key(row));
                                  keystore::GenerationRow generation;
                                  generation.linkage_method = linkage_method;
                                  FUGO_TRY(update.put_generation(generation));
                                  for (AgencyNumber number = 1; number <= agencies; ++number)
                                    FUGO_TRY(update.put_agency(make_agency(number)));
                                  return update.append_journal({"tester", ""}, "init", "{}");
                                }));
  reopen();
}

TrialLedger::~TrialLedger() = default;

void TrialLedger::reopen() {
  site_.reset();
  site_ = must(Site::open({directory(), hsm::testing::shared_tokens().issuing}, Access::kWrite));
}

keystore::JobRow TrialLedger::start(keystore::JobKind kind, std::uint64_t rows) {
  keystore::JobRow job;
  job.id = "J" + std::to_string(++jobs_);
  job.kind = kind;
  job.time = 1'700'000'000 + 100'000LL * jobs_;
  job.operator_name = "tester";
  job.output_directory = "/answers";
  job.generation = site_->active_generation().number;
  job.segment_rows = 1000;
  job.rows = rows;
  const auto state = must(site_->ledger().state());
  job.next_agency = state.next_agency;
  for (const auto& agency : site_->agencies()) {
    if (agency.state == keystore::AgencyState::kSuspended)
      job.suspended_agencies.push_back(agency.number);
    if (agency.state == keystore::AgencyState::kClosed)
      job.closed_agencies.push_back(agency.number);
  }
  const auto update = must(site_->ledger().begin());
  job.number = must(update->put_job(job));
  must(update->commit());
  return job;
}

void TrialLedger::finish(keystore::JobRow job) {
  job.state = keystore::JobState::kDone;
  const auto update = must(site_->ledger().begin());
  must(update->put_job(job));
  must(update->commit());
}

std::vector<RowResult> TrialLedger::issue(const Codes& codes,
                                          const std::vector<AgencyNumber>& agencies) {
  auto job = start(keystore::JobKind::kIssue, codes.size());
  const auto issuer = must(SegmentIssuer::create(*site_, codes.size()));
  keystore::SegmentRow segment;
  segment.rows = static_cast<std::uint32_t>(codes.size());
  const auto outcome = must(issuer->issue({codes, agencies}, segment, {"tester", ""}, job));
  finish(job);
  return {outcome.results.begin(), outcome.results.end()};
}

std::vector<Block> TrialLedger::symbols(AgencyNumber agency, const Codes& codes) {
  const auto issuer = must(SegmentIssuer::create(*site_, codes.size()));
  keystore::SegmentRow last;  // of an answer made now everything is older
  last.number = must(site_->ledger().state()).next_segment;
  const std::vector<AgencyNumber> agencies(codes.size(), agency);
  const auto outcome = must(issuer->answer({codes, agencies}, last));
  return {outcome.symbols.begin(), outcome.symbols.end()};
}

namespace {

std::vector<Pair> plain(std::span<const SymbolPair> pairs) {
  std::vector<Pair> values;
  for (const auto& pair : pairs) values.push_back({pair.agency, pair.before, pair.after});
  return values;
}

Changed plain(const ChangeOutcome& outcome) {
  return {{outcome.results.begin(), outcome.results.end()},
          plain(outcome.agencies),
          plain(outcome.records),
          {}};
}

Erased plain(const EraseOutcome& outcome) {
  Erased erased;
  erased.results.assign(outcome.results.begin(), outcome.results.end());
  for (const auto& dead : outcome.agencies) erased.agencies.emplace_back(dead.agency, dead.symbol);
  erased.records.assign(outcome.records.begin(), outcome.records.end());
  erased.people = outcome.people;
  erased.issuances = outcome.issuances;
  return erased;
}

}  // namespace

Changed TrialLedger::change(const Codes& old_codes, const Codes& new_codes, bool join) {
  auto job = start(keystore::JobKind::kChange, old_codes.size());
  job.join = join;
  const auto changer = must(SegmentChanger::create(*site_, old_codes.size()));
  keystore::SegmentRow segment;
  segment.rows = static_cast<std::uint32_t>(old_codes.size());
  auto changed = plain(must(changer->change({old_codes, new_codes}, segment, job)));
  finish(job);
  changed.segment = must(site_->ledger().segments()).back();
  return changed;
}

Result<Changed> TrialLedger::answer(const Codes& old_codes, const Codes& new_codes,
                                    const keystore::SegmentRow& segment) {
  const auto changer = must(SegmentChanger::create(*site_, old_codes.size()));
  return changer->answer({old_codes, new_codes}, segment).map([](const ChangeOutcome& outcome) {
    return plain(outcome);
  });
}

Result<Changed> TrialLedger::answer_without_rows(const keystore::SegmentRow& segment) {
  const auto changer = must(SegmentChanger::create(*site_, 1));
  return changer->answer_without_rows(segment).map(
      [](const ChangeOutcome& outcome) { return plain(outcome); });
}

Erased TrialLedger::find(const Codes& codes) {
  const auto eraser = must(Eraser::create(*site_, codes.size()));
  return plain(must(eraser->find(codes)));
}

Erased TrialLedger::erase(const Codes& codes) {
  auto job = start(keystore::JobKind::kDelete, codes.size());
  const auto eraser = must(Eraser::create(*site_, codes.size()));
  auto erased = plain(must(eraser->find(codes)));
  job.state = keystore::JobState::kAnswering;
  job.rows_done = job.rows;
  must(eraser->commit(job, {"tester", "W-1"}));
  finish(job);
  return erased;
}

std::vector<LinkItem> TrialLedger::link(AgencyNumber from, AgencyNumber to,
                                        const std::vector<Block>& symbols) {
  std::vector<LinkItem> items;
  for (const Block& symbol : symbols) items.push_back({symbol, LinkStatus::kUnknown, {}});
  const std::string from_code = "A" + std::to_string(from), to_code = "A" + std::to_string(to);
  if (from != 2) {
    must(link_symbols(*site_, from_code, to_code, items));
    return items;
  }
  // Only the linking token inverts; a process opens a ledger once.
  site_.reset();
  site_ = must(Site::open({directory(), hsm::testing::shared_tokens().linking}, Access::kRead));
  must(link_symbols(*site_, from_code, to_code, items));
  reopen();
  return items;
}

void TrialLedger::set_agency(AgencyNumber number, keystore::AgencyState state) {
  auto agency = site_->agencies().at(number - 1U);
  agency.state = state;
  const auto update = must(site_->ledger().begin());
  must(update->put_agency(agency));
  must(update->commit());
  must(site_->reload());
}

std::string TrialLedger::digest() {
  const auto& ledger = site_->ledger();
  return must(ledger.content_digest()->text(must(ledger.state()), false));
}

std::string TrialLedger::verify() {
  must(site_->ledger().finish_merges());
  const auto& ledger = site_->ledger();
  auto findings = must(keystore::verify_tables(ledger));
  const auto snapshot = must(ledger.snapshot());
  const auto agencies = must(ledger.agencies());
  const auto segments = must(ledger.segments());
  const auto state = must(ledger.state());
  const auto generations = must(ledger.generations());
  const auto more = must(keystore::verify_content({.snapshot = *snapshot,
                                                   .keys = *ledger.keys(),
                                                   .digest = *ledger.content_digest(),
                                                   .agencies = agencies,
                                                   .segments = segments,
                                                   .state = state,
                                                   .generations = generations}));
  findings.insert(findings.end(), more.begin(), more.end());
  std::string text;
  for (const Error& finding : findings) text += finding.message() + "\n";
  return text;
}

}  // namespace fugo::engine::testing
