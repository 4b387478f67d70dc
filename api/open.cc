// Opening, closing and looking after a handle of the C interface.
#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/handle.h"
#include "base/per_process.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "hsm/token.h"

static_assert(std::string_view(FUGO_HEADER_VERSION) == FUGO_VERSION,
              "fugo.h and CMakeLists.txt name different versions");

namespace fugo::api {
namespace {

// What the first versions of the growing structures had: sizes below are wrong calls.
constexpr std::uint32_t kErrorBytes = 2048, kOptionsBytes = 16, kHealthBytes = 1080;
static_assert(sizeof(fugo_error) == kErrorBytes && sizeof(fugo_options) == kOptionsBytes &&
              sizeof(fugo_health_report) == kHealthBytes);

fugo_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kRefused:
      return FUGO_REFUSED;
    case ErrorCode::kIo:
      return FUGO_IO;
    case ErrorCode::kUsage:
      return FUGO_BAD_CONFIGURATION;
    case ErrorCode::kHsm:
      return FUGO_UNAVAILABLE;
    case ErrorCode::kDamaged:
      return FUGO_DAMAGED;
    case ErrorCode::kStale:  // mended by the library itself
    case ErrorCode::kInternal:
      break;
  }
  return FUGO_INTERNAL;
}

// copy_text fills `to` with as much of a UTF-8 text as it holds; never half a character.
void copy_text(std::string_view text, std::span<char> to) {
  std::size_t length = std::min(text.size(), to.size() - 1);
  if (length < text.size())
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) --length;
  std::fill(to.begin(), to.end(), '\0');
  std::copy_n(text.begin(), length, to.begin());
}

fugo_status give(fugo_error* error, fugo_status status, std::string_view message) {
  if (error == nullptr) return status;
  error->status = status;
  copy_text(message, error->message);
  return status;
}

fugo_status give(fugo_error* error, const Error& reason) {
  return give(error, status_of(reason.code), reason.message());
}

// Handles counts those of this process: PKCS#11 is finished with when the last one goes, since
// SoftHSM crashes when that is left to static destructors.
struct Handles {
  std::mutex mutex;
  std::size_t open = 0;
};

Result<engine::LinkingSettings> with_options(engine::LinkingSettings settings,
                                             const fugo_options* options) {
  if (options == nullptr) return settings;
  if (options->index == FUGO_INDEX_LAZY) settings.index = engine::IndexPolicy::kLazy;
  if (options->index == FUGO_INDEX_AHEAD) settings.index = engine::IndexPolicy::kAhead;
  if (options->index > FUGO_INDEX_AHEAD)
    return fail(ErrorCode::kUsage, "is none of FUGO_INDEX_...", "fugo_options.index");
  constexpr std::uint64_t kMostMib = 1 << 24U;
  if (options->index_mib > kMostMib)
    return fail(ErrorCode::kUsage, "must be at most 16777216", "fugo_options.index_mib");
  if (options->index_mib != 0)
    settings.index_bytes = static_cast<std::size_t>(options->index_mib) << 20U;
  return settings;
}

Status open_parts(const char* config_path, const fugo_options* options, fugo_linkage& made) {
  const auto given =
      config_path == nullptr ? std::nullopt : std::optional<std::string>(config_path);
  FUGO_ASSIGN(const auto settings, daemon::load_settings(daemon::settings_path(given)));
  FUGO_ASSIGN(const auto link, with_options(settings.link, options));
  set_lock_policy(settings.lock_memory);
  FUGO_ASSIGN(auto site,
              daemon::open_site(settings, hsm::TokenRole::kLinking, keystore::Access::kRead));
  FUGO_ASSIGN(made.linking, engine::Linking::open(std::move(site), link));
  std::optional<Calendar> quota;
  if (link.quota_per_day != 0) {
    FUGO_ASSIGN(quota, Calendar::of(link.time_zone));
  }
  FUGO_ASSIGN(made.uses, UseSpooler::start(*made.linking, settings.link_usage, quota));
  return {};
}

fugo_status open_handle(const char* config_path, const fugo_options* options, fugo_linkage** handle,
                        fugo_error* error) {
  auto made = std::make_unique<fugo_linkage>();
  if (const auto opened = open_parts(config_path, options, *made); !opened)
    return give(error, opened.error());
  *handle = made.release();
  return give(error, FUGO_OK, "");
}

fugo_status prepare(engine::Linking& linking, std::span<const fugo_agency> agencies,
                    fugo_error* error) {
  std::vector<keystore::AgencyNumber> numbers;
  for (const auto given : agencies) {
    numbers.push_back(static_cast<keystore::AgencyNumber>(given));
    if (given == 0 || numbers.back() != given)
      return give(error, FUGO_UNKNOWN_AGENCY, "no agency has this number");
  }
  const auto done = linking.prepare(numbers);
  if (!done && done.error().code == ErrorCode::kUsage)
    return give(error, FUGO_UNKNOWN_AGENCY, done.error().message());
  if (!done) return give(error, done.error());
  return give(error, FUGO_OK, "");
}

bool well_formed(const fugo_error* error) { return error == nullptr || error->size >= kErrorBytes; }

// What stays in the message when something is thrown.
constexpr std::string_view kUnexpected = "there is not enough memory, or a library below failed";

// Names of what concerns a call as a whole, from FUGO_BAD_CALL on.
constexpr std::array<const char*, 6> kCallStatusNames{
    "bad_call", "bad_configuration", "refused", "damaged", "io", "internal"};
static_assert(FUGO_INTERNAL - FUGO_BAD_CALL + 1 == kCallStatusNames.size());

}  // namespace

OpenHandle::OpenHandle() {
  auto& handles = per_process<Handles>();
  const std::lock_guard lock(handles.mutex);
  ++handles.open;
}

OpenHandle::~OpenHandle() {
  auto& handles = per_process<Handles>();
  const std::lock_guard lock(handles.mutex);
  if (--handles.open == 0) hsm::finalize_all();
}

}  // namespace fugo::api

using namespace fugo;
using namespace fugo::api;

extern "C" {

fugo_status fugo_open(const char* config_path, const fugo_options* options, fugo_linkage** handle,
                      fugo_error* error) noexcept {
  if (handle == nullptr) return FUGO_BAD_CALL;
  *handle = nullptr;
  if (!well_formed(error) || (options != nullptr && options->size < kOptionsBytes))
    return FUGO_BAD_CALL;
  give(error, FUGO_INTERNAL, kUnexpected);
  const fugo_status status =
      guarded([&] { return open_handle(config_path, options, handle, error); });
  if (error != nullptr) error->status = status;
  return status;
}

void fugo_close(fugo_linkage* handle) noexcept {
  if (usable(handle) != FUGO_OK) return;
  guarded([&]() -> fugo_status {
    delete handle;
    return FUGO_OK;
  });
}

fugo_status fugo_find_agency(fugo_linkage* handle, const char* code, fugo_agency* agency) noexcept {
  if (agency != nullptr) *agency = 0;
  if (const auto status = usable(handle); status != FUGO_OK) return status;
  if (code == nullptr || agency == nullptr) return FUGO_BAD_CALL;
  return guarded([&]() -> fugo_status {
    const auto found = handle->linking->find_agency(code);
    if (!found) return FUGO_UNAVAILABLE;
    if (!*found) return FUGO_UNKNOWN_AGENCY;
    *agency = **found;
    return FUGO_OK;
  });
}

fugo_status fugo_prepare(fugo_linkage* handle, size_t n, const fugo_agency* agencies,
                         fugo_error* error) noexcept {
  if (const auto status = usable(handle); status != FUGO_OK) return status;
  if ((n > 0 && agencies == nullptr) || !well_formed(error)) return FUGO_BAD_CALL;
  give(error, FUGO_INTERNAL, kUnexpected);
  const fugo_status status = guarded([&] {
    return prepare(*handle->linking, {agencies, n}, error);
  });
  if (error != nullptr) error->status = status;
  return status;
}

fugo_status fugo_health(fugo_linkage* handle, fugo_health_report* report) noexcept {
  if (const auto status = usable(handle); status != FUGO_OK) return status;
  if (report == nullptr || report->size < kHealthBytes) return FUGO_BAD_CALL;
  return guarded([&]() -> fugo_status {
    const auto health = handle->linking->health();
    report->reserved = 0;
    report->index_entries = health.index_entries;
    report->index_bytes = health.index_bytes;
    report->index_agencies = health.index_agencies;
    report->index_evictions = health.index_evictions;
    report->combined_calls = health.combined_calls;
    report->combined_runs = health.combined_runs;
    // First what is wrong now: the counts are tried again every minute.
    auto error = handle->uses->last_error();
    if (!error.empty() && !health.last_error.empty()) error += "; ";
    copy_text(error + health.last_error, report->last_error);
    return FUGO_OK;
  });
}

const char* fugo_status_name(fugo_status status) noexcept {
  if (status >= FUGO_BAD_CALL && status <= FUGO_INTERNAL)
    return kCallStatusNames[static_cast<std::size_t>(status - FUGO_BAD_CALL)];
  if (status < FUGO_OK || status > FUGO_FORKED) return "";
  return engine::link_status_name(static_cast<engine::LinkStatus>(status)).data();  // literals
}

const char* fugo_version(void) noexcept { return FUGO_VERSION; }

}  // extern "C"
