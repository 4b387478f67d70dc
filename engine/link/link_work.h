// LinkWork: the steps from a batch of asks to their answers.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/sorting.h"
#include "engine/link/link_ask.h"
#include "engine/link/link_view.h"
#include "engine/link/patience.h"
#include "engine/link/resolver_index.h"

namespace fugo::engine {

// LinkWork holds the memory that answering at most `capacity` asks at once takes. One thread at a
// time; what was secret in it is wiped after each run.
class LinkWork {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LinkWork>> create(std::size_t capacity);

  // What becomes of asks whose agency's table is not there, or does not know all of the view's
  // issuances.
  enum class Tables : std::uint8_t {
    kMade,       // it is made, or waited for
    kAsTheyAre,  // they are kUnavailable and lack a table: nobody waits for what concerns others
  };
  // run answers asks, at most `capacity`, from one view. Status and outputs of each are set; those
  // that are settled on entry are left out. On an error of token, ledger or index it is returned,
  // and the asks that it concerns are kUnavailable or kIndexTooLarge: of a table, those of its
  // agency alone. Throws nothing.
  [[nodiscard]] Status run(const LinkView& view, ResolverIndex& index, Tables tables,
                           Patience& patience, std::span<LinkAsk> asks);

 private:
  // Candidate is a person who may be whom an ask's symbol names, or whom it names by id.
  struct Candidate {
    std::uint32_t ask;
    keystore::PersonId id;
  };
  using Freshness = ResolverIndex::Freshness;

  LinkWork() = default;

  [[nodiscard]] Status answer(std::span<LinkAsk> asks);
  // set_aside settles the asks that need no look-up, and marks the others as pending.
  void set_aside(std::span<LinkAsk> asks);
  // leave_out settles a pending ask of one agency, whose table could not be used.
  void leave_out(LinkAsk& ask, std::size_t row, LinkStatus status);
  // resolve finds the ids of pending asks by their symbols of one generation.
  [[nodiscard]] Status resolve(const keystore::GenerationRow& generation, std::span<LinkAsk> asks);
  // find_candidates looks for the people of pending asks, agency by agency; with kCurrent in those
  // tables only that did not know everything before.
  [[nodiscard]] Status find_candidates(const keystore::GenerationRow& generation,
                                       Freshness freshness, std::span<LinkAsk> asks);
  [[nodiscard]] Status look_into_table(const keystore::GenerationRow& generation,
                                       keystore::AgencyNumber agency, Freshness freshness,
                                       std::span<const KeyedRow> of_agency,
                                       std::span<LinkAsk> asks);
  [[nodiscard]] Status invert(const keystore::GenerationRow& generation,
                              keystore::AgencyNumber agency, std::span<const KeyedRow> of_agency,
                              std::span<LinkAsk> asks);
  // evaluate_all reads the candidates' records and makes symbols of them: with `verify` those that
  // they were asked by, which must be equal, and in the active generation those that are wanted.
  [[nodiscard]] Status evaluate_all(const keystore::GenerationRow& generation, bool verify,
                                    std::span<LinkAsk> asks);
  [[nodiscard]] Status evaluate(const keystore::GenerationRow& generation, bool verify,
                                std::span<const Candidate> some, std::span<LinkAsk> asks);
  [[nodiscard]] Status make_records(std::span<const Candidate> some, std::span<LinkAsk> asks);
  void sort_rows(std::vector<KeyedRow>& rows);
  // look_into_tables_of_to settles what the tables of `to` tell: an entry with a person's id was
  // made from an issuance to that person, so it proves one; a table that knows everything and has
  // none proves that there is none. Agencies whose tables are not there are left alone.
  void look_into_tables_of_to(std::span<LinkAsk> asks);
  // look_up_issued settles what depends on issuances: of `to`, and of `from` where the symbol was
  // inverted and not found in a table of issuances.
  [[nodiscard]] Status look_up_issued(std::span<LinkAsk> asks);

  // Of the run.
  const LinkView* view_ = nullptr;
  ResolverIndex* index_ = nullptr;
  Patience* patience_ = nullptr;
  Tables tables_ = Tables::kMade;

  Status index_error_;  // of an agency's table: concerns its asks only

  std::size_t capacity_ = 0;
  std::size_t used_ = 0;                // of the secret arrays, in this run
  std::vector<std::uint8_t> asked_;     // by ask: it was not set aside
  std::vector<std::uint8_t> pending_;   // by ask: it is neither settled nor set aside
  std::vector<std::uint8_t> to_known_;  // by ask: whether `to` issued is settled
  std::vector<std::uint8_t> inverted_;  // by ask: its symbol was inverted, its issuance not seen
  std::vector<keystore::AgencyNumber> stale_;  // whose tables did not know everything, ascending
  std::vector<Candidate> candidates_, some_;
  std::vector<KeyedRow> by_agency_, sorted_, scratch_;
  std::vector<std::uint64_t> digests_;
  std::vector<keystore::IndexHit> hits_;
  std::vector<keystore::PersonId> ids_;
  std::vector<keystore::AgencyNumber> agencies_;
  std::vector<keystore::IssuedKey> issued_keys_;
  std::vector<keystore::SegmentNumber> segments_;
  SecretArray<keystore::PersonRecord> records_;
  SecretArray<Block> linkage_, symbols_;  // twice the capacity
};

}  // namespace fugo::engine
