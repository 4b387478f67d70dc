#include "hsm/call_meter.h"

#include <algorithm>

namespace fugo::hsm {
namespace {

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::size_t bucket_of(std::int64_t nanoseconds) {
  const auto* const bound = std::find_if(
      kLatencyBounds.begin(), kLatencyBounds.end(),
      [nanoseconds](std::uint32_t us) { return nanoseconds <= std::int64_t{us} * 1000; });
  return static_cast<std::size_t>(bound - kLatencyBounds.begin());
}

// A module calls back into nothing that knows its CallMeter, and PKCS#11 functions have no
// argument to carry one: so each loaded module gets functions of its own, made by the compiler
// for each of these places.
struct Place {
  CK_FUNCTION_LIST* real = nullptr;
  CK_FUNCTION_LIST counting{};
  CallMeter meter;
};
constexpr std::size_t kPlaces = 4;
std::array<Place, kPlaces>& places() {
  static auto* all = new std::array<Place, kPlaces>;  // used until the process ends
  return *all;
}

template <std::size_t Number, CkFunction Function, auto Member, typename Type>
struct Counting;
template <std::size_t Number, CkFunction Function, auto Member, typename... Arguments>
struct Counting<Number, Function, Member, CK_RV (*)(Arguments...)> {
  static CK_RV call(Arguments... arguments) {
    Place& place = places()[Number];
    const auto flight = place.meter.begin(Function);
    const CK_RV rv = (place.real->*Member)(arguments...);
    place.meter.end(Function, flight, rv);
    return rv;
  }
};

template <std::size_t Number>
void fill(Place& place) {
  place.counting = *place.real;
#define FUGO_X(name)                                                                 \
  place.counting.name = &Counting<Number, CkFunction::name, &CK_FUNCTION_LIST::name, \
                                  decltype(CK_FUNCTION_LIST::name)>::call;
  FUGO_CK_FUNCTIONS(FUGO_X)
#undef FUGO_X
}

using FillPlace = void (*)(Place&);
constexpr std::array<FillPlace, kPlaces> kFill = {&fill<0>, &fill<1>, &fill<2>, &fill<3>};

}  // namespace

const char* token_state_name(TokenState state) {
  static constexpr std::array kNames = {"ok", "recovering", "failed", "latched"};
  return kNames[static_cast<std::size_t>(state)];
}

CallMeter::Flight CallMeter::begin(CkFunction function) {
  // A thread comes back to the place it had last, so threads do not get into each other's way.
  thread_local std::size_t last = 0;
  const std::int64_t start = now();
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    const std::size_t place = (last + i) % in_flight_.size();
    std::int64_t free = 0;
    if (!in_flight_[place].start.compare_exchange_strong(free, start)) continue;
    in_flight_[place].function.store(function, std::memory_order_relaxed);
    last = place;
    return {place, start};
  }
  return {in_flight_.size(), start};
}

void CallMeter::end(CkFunction function, const Flight& flight, CK_RV rv) {
  const std::int64_t took = now() - flight.start;
  if (flight.place < in_flight_.size()) in_flight_[flight.place].start.store(0);
  const auto index = static_cast<std::size_t>(function);
  calls_[index].fetch_add(1, std::memory_order_relaxed);
  latency_[bucket_of(took)].fetch_add(1, std::memory_order_relaxed);
  total_time_.fetch_add(took, std::memory_order_relaxed);
  if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
    errors_[index][rv_kind(rv)].fetch_add(1, std::memory_order_relaxed);
}

void CallMeter::add_to(Health& health) const {
  for (std::size_t i = 0; i < kFunctions; ++i) {
    const std::uint64_t count = calls_[i].load(std::memory_order_relaxed);
    health.calls += count;
    if (count != 0) health.functions.push_back({kCkFunctionNames[i], count});
    for (std::size_t kind = 0; kind < kRvKinds; ++kind)
      if (const std::uint64_t errors = errors_[i][kind].load(std::memory_order_relaxed))
        health.errors.push_back({kCkFunctionNames[i], rv_kind_name(kind), errors});
  }
  for (std::size_t i = 0; i < latency_.size(); ++i)
    health.latency[i] = latency_[i].load(std::memory_order_relaxed);
  health.total_time = std::chrono::nanoseconds(total_time_.load(std::memory_order_relaxed));
  std::int64_t oldest = 0;
  for (const InFlight& call : in_flight_) {
    const std::int64_t start = call.start.load();
    if (start == 0 || (oldest != 0 && start >= oldest)) continue;
    oldest = start;
    const auto function = call.function.load(std::memory_order_relaxed);
    health.oldest_function = kCkFunctionNames[static_cast<std::size_t>(function)];
  }
  if (oldest != 0)
    health.oldest_call = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::nanoseconds(now() - oldest));
}

Result<MeteredFunctions> meter_functions(CK_FUNCTION_LIST* real) {
  static std::atomic<std::size_t> used{0};
  const std::size_t number = used.fetch_add(1);
  if (number >= kPlaces)
    return fail(ErrorCode::kInternal, "this process has loaded too many PKCS#11 modules");
  Place& place = places()[number];
  place.real = real;
  kFill[number](place);
  return MeteredFunctions{&place.counting, &place.meter};
}

}  // namespace fugo::hsm
