// The calls of the C interface that are for many items.
#include <algorithm>
#include <cstring>

#include "api/handle.h"
#include "base/text.h"

namespace fugo::api {
namespace {

using engine::Linking;
using engine::LinkStatus;
using engine::PersonHandle;
using keystore::AgencyNumber;

// Never change a number: each is a constant of the installed header.
static_assert(FUGO_OK == static_cast<int>(LinkStatus::kOk));
static_assert(FUGO_NOT_ISSUED == static_cast<int>(LinkStatus::kNotIssued));
static_assert(FUGO_UNKNOWN == static_cast<int>(LinkStatus::kUnknown));
static_assert(FUGO_SUPERSEDED == static_cast<int>(LinkStatus::kSuperseded));
static_assert(FUGO_BAD_SYMBOL == static_cast<int>(LinkStatus::kBadSymbol));
static_assert(FUGO_UNKNOWN_AGENCY == static_cast<int>(LinkStatus::kUnknownAgency));
static_assert(FUGO_FROZEN == static_cast<int>(LinkStatus::kFrozen));
static_assert(FUGO_QUOTA_EXCEEDED == static_cast<int>(LinkStatus::kQuotaExceeded));
static_assert(FUGO_UNAVAILABLE == static_cast<int>(LinkStatus::kUnavailable));
static_assert(FUGO_INDEX_TOO_LARGE == static_cast<int>(LinkStatus::kIndexTooLarge));
static_assert(FUGO_FORKED == static_cast<int>(LinkStatus::kForked));
static_assert(engine::kLinkStatuses == 12, "a new status needs a constant in fugo.h");

static_assert(sizeof(fugo_person) == sizeof(PersonHandle) && sizeof(fugo_person) == 16);
static_assert(sizeof(fugo_symbol) == kSymbolTextLength + 1);

// decode gives the engine's view of texts; kBadSymbol for one that is no symbol, whatever it is.
void decode(const char* const* texts, std::span<Block> symbols, std::span<LinkStatus> statuses) {
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const char* text = texts[i];
    const std::size_t length = text == nullptr ? 0 : ::strnlen(text, kSymbolTextLength + 1);
    const auto symbol = decode_symbol({text, length});
    if (symbol)
      symbols[i] = *symbol;
    else
      statuses[i] = LinkStatus::kBadSymbol;
  }
}

// encode writes the texts of the items that are kOk; the others are zero already.
void encode(std::span<const Block> symbols, std::span<const LinkStatus> statuses,
            fugo_symbol* texts) {
  for (std::size_t i = 0; i < symbols.size(); ++i)
    if (statuses[i] == LinkStatus::kOk) encode_symbol(symbols[i], texts[i].text);
}

// A number that no ledger can have is no agency's, and so is 0.
void convert(const fugo_agency* given, std::span<AgencyNumber> agencies) {
  for (std::size_t i = 0; i < agencies.size(); ++i) {
    const auto number = static_cast<AgencyNumber>(given[i]);
    agencies[i] = number == given[i] ? number : AgencyNumber{0};
  }
}

void convert(const fugo_person* given, std::span<PersonHandle> people) {
  for (std::size_t i = 0; i < people.size(); ++i)
    people[i] = {{given[i].opaque[0], given[i].opaque[1]}};
}

void convert(std::span<const PersonHandle> people, fugo_person* to) {
  for (std::size_t i = 0; i < people.size(); ++i)
    to[i] = {{people[i].opaque[0], people[i].opaque[1]}};
}

template <typename T>
void clear(T* outputs, std::size_t n) {
  if (outputs != nullptr) std::memset(outputs, 0, n * sizeof(T));
}

fugo_status hand_over(std::span<const LinkStatus> from, fugo_status* to) {
  fugo_status first = FUGO_OK;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto status =
        from[i] == LinkStatus{} ? fugo_status{FUGO_INTERNAL} : static_cast<fugo_status>(from[i]);
    if (first == FUGO_OK) first = status;
    if (to != nullptr) to[i] = status;
  }
  return first;
}

// run carries a call for n items out: `given` tells that no array is missing. `work` is given the
// engine and the statuses that it has to set.
template <typename Work>
fugo_status run(fugo_linkage* handle, std::size_t n, bool given, fugo_status* statuses,
                Work&& work) noexcept {
  fugo_status whole = usable(handle);
  if (whole == FUGO_OK && n == 0) return FUGO_OK;
  if (whole == FUGO_OK && (!given || (statuses == nullptr && n > 1))) whole = FUGO_BAD_CALL;
  if (whole == FUGO_OK && handle->uses->overdue()) whole = FUGO_UNAVAILABLE;
  fugo_status first = FUGO_OK;
  if (whole == FUGO_OK)
    whole = guarded([&]() -> fugo_status {
      Scratch<LinkStatus> results(n);
      work(*handle->linking, results.span());
      first = hand_over(results.span(), statuses);
      return FUGO_OK;
    });
  if (whole == FUGO_OK) return first;
  if (statuses != nullptr) std::fill_n(statuses, n, whole);
  return whole;
}

}  // namespace
}  // namespace fugo::api

using namespace fugo;
using namespace fugo::api;

extern "C" {

fugo_status fugo_resolve_versions(fugo_linkage* handle, size_t n, const fugo_agency* agencies,
                                  const char* const* symbols, fugo_person* people,
                                  uint32_t* versions, fugo_status* statuses) noexcept {
  const bool given = agencies != nullptr && symbols != nullptr && people != nullptr;
  clear(people, n);
  clear(versions, n);
  return run(handle, n, given, statuses, [&](Linking& linking, std::span<LinkStatus> results) {
    Scratch<AgencyNumber> numbers(n);
    Scratch<Block> blocks(n);
    Scratch<PersonHandle> found(n);
    Scratch<keystore::Generation> of(versions == nullptr ? 0 : n);
    convert(agencies, numbers.span());
    decode(symbols, blocks.span(), results);
    linking.resolve(numbers.span(), blocks.span(), found.span(), of.span(), results);
    convert(found.span(), people);
    std::copy(of.span().begin(), of.span().end(), versions);
  });
}

fugo_status fugo_resolve(fugo_linkage* handle, size_t n, const fugo_agency* agencies,
                         const char* const* symbols, fugo_person* people,
                         fugo_status* statuses) noexcept {
  return fugo_resolve_versions(handle, n, agencies, symbols, people, nullptr, statuses);
}

fugo_status fugo_is_issued(fugo_linkage* handle, size_t n, const fugo_person* people,
                           const fugo_agency* agencies, fugo_status* statuses) noexcept {
  const bool given = people != nullptr && agencies != nullptr;
  return run(handle, n, given, statuses, [&](Linking& linking, std::span<LinkStatus> results) {
    Scratch<AgencyNumber> numbers(n);
    Scratch<PersonHandle> asked(n);
    convert(agencies, numbers.span());
    convert(people, asked.span());
    linking.is_issued(asked.span(), numbers.span(), results);
  });
}

fugo_status fugo_symbol_for(fugo_linkage* handle, size_t n, const fugo_person* people,
                            const fugo_agency* agencies, fugo_symbol* symbols,
                            fugo_status* statuses) noexcept {
  const bool given = people != nullptr && agencies != nullptr && symbols != nullptr;
  clear(symbols, n);
  return run(handle, n, given, statuses, [&](Linking& linking, std::span<LinkStatus> results) {
    Scratch<AgencyNumber> numbers(n);
    Scratch<PersonHandle> asked(n);
    Scratch<Block> made(n);
    convert(agencies, numbers.span());
    convert(people, asked.span());
    linking.symbol_for(asked.span(), numbers.span(), made.span(), results);
    encode(made.span(), results, symbols);
  });
}

fugo_status fugo_record_symbol(fugo_linkage* handle, size_t n, const fugo_person* people,
                               fugo_symbol* symbols, fugo_status* statuses) noexcept {
  const bool given = people != nullptr && symbols != nullptr;
  clear(symbols, n);
  return run(handle, n, given, statuses, [&](Linking& linking, std::span<LinkStatus> results) {
    Scratch<PersonHandle> asked(n);
    Scratch<Block> made(n);
    convert(people, asked.span());
    linking.record_symbol(asked.span(), made.span(), results);
    encode(made.span(), results, symbols);
  });
}

fugo_status fugo_link_versions(fugo_linkage* handle, size_t n, const fugo_agency* from,
                               const fugo_agency* to, const char* const* symbols,
                               fugo_symbol* linked, fugo_symbol* records, uint32_t* versions,
                               fugo_status* statuses) noexcept {
  const bool given = from != nullptr && to != nullptr && symbols != nullptr && linked != nullptr;
  clear(linked, n);
  clear(records, n);
  clear(versions, n);
  return run(handle, n, given, statuses, [&](Linking& linking, std::span<LinkStatus> results) {
    Scratch<AgencyNumber> inquirers(n), providers(n);
    Scratch<Block> blocks(n), made(n), filed(records == nullptr ? 0 : n);
    Scratch<keystore::Generation> of(versions == nullptr ? 0 : n);
    convert(from, inquirers.span());
    convert(to, providers.span());
    decode(symbols, blocks.span(), results);
    linking.link(inquirers.span(), providers.span(), blocks.span(), made.span(), filed.span(),
                 of.span(), results);
    encode(made.span(), results, linked);
    if (records != nullptr) encode(filed.span(), results, records);
    std::copy(of.span().begin(), of.span().end(), versions);
  });
}

fugo_status fugo_link(fugo_linkage* handle, size_t n, const fugo_agency* from,
                      const fugo_agency* to, const char* const* symbols, fugo_symbol* linked,
                      fugo_symbol* records, fugo_status* statuses) noexcept {
  return fugo_link_versions(handle, n, from, to, symbols, linked, records, nullptr, statuses);
}

}  // extern "C"
