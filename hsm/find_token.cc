#include "hsm/find_token.h"

#include <fmt/format.h>
#include <p11-kit/uri.h>

#include <memory>
#include <string_view>
#include <vector>

namespace fugo::hsm {
namespace {

using Uri = std::unique_ptr<P11KitUri, decltype(&p11_kit_uri_free)>;

Result<Uri> parse(const std::string& text) {
  Uri uri(p11_kit_uri_new(), &p11_kit_uri_free);
  if (uri == nullptr) return fail(ErrorCode::kInternal, "no memory for a token URI");
  const int result = p11_kit_uri_parse(text.c_str(), P11_KIT_URI_FOR_TOKEN, uri.get());
  if (result != P11_KIT_URI_OK)
    return fail(ErrorCode::kUsage, fmt::format("bad token URI: {}", p11_kit_uri_message(result)),
                text.find("pin-") == std::string::npos ? text : "hsm.uri",
                "RFC 7512 form: pkcs11:token=LABEL;serial=NUMBER");
  // The text of this URI is not repeated in the error: it holds a PIN.
  if (p11_kit_uri_get_pin_value(uri.get()) != nullptr ||
      p11_kit_uri_get_pin_source(uri.get()) != nullptr)
    return fail(ErrorCode::kUsage, "the token URI names a PIN", "hsm.uri",
                "the PIN comes from the setting pin_file only");
  if (p11_kit_uri_any_unrecognized(uri.get()) != 0)
    return fail(ErrorCode::kUsage, "the token URI has attributes that are not known", text);
  return uri;
}

constexpr std::size_t kSpareSlots = 16;

Result<std::vector<CK_SLOT_ID>> slots_with_token(CK_FUNCTION_LIST* functions) {
  CK_ULONG count = 0;
  FUGO_CK(functions, C_GetSlotList, CK_TRUE, nullptr, &count);
  // More room than was asked for: NSS writes all slots that it has by then, whatever it is told.
  std::vector<CK_SLOT_ID> slots(count + kSpareSlots);
  count = slots.size();
  FUGO_CK(functions, C_GetSlotList, CK_TRUE, slots.data(), &count);
  if (count > slots.size()) return fail_rv(CKR_GENERAL_ERROR, "C_GetSlotList");
  slots.resize(count);
  return slots;
}

std::string list_of(const std::vector<std::string>& labels) {
  return labels.empty() ? "there is no initialised token"
                        : fmt::format("tokens that are there: {}", fmt::join(labels, ", "));
}

}  // namespace

std::string padded_text(const CK_UTF8CHAR* field, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(field), size);
  const auto end = text.find_last_not_of(' ');
  return std::string(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
}

std::string describe(const CK_TOKEN_INFO& info) {
  return fmt::format("{}, label {}, serial {}", padded_text(info.model, sizeof(info.model)),
                     padded_text(info.label, sizeof(info.label)),
                     padded_text(info.serialNumber, sizeof(info.serialNumber)));
}

Result<FoundToken> find_token(const Module& module, const std::string& uri_text) {
  FUGO_ASSIGN(const Uri uri, parse(uri_text));
  CK_FUNCTION_LIST* functions = module.functions();
  FUGO_ASSIGN(const auto slots, slots_with_token(functions));
  std::vector<FoundToken> matches;
  std::vector<std::string> labels;
  CK_RV why_none = CKR_TOKEN_NOT_PRESENT;
  for (const CK_SLOT_ID slot : slots) {
    FoundToken token{slot, {}};
    if (const CK_RV rv = functions->C_GetTokenInfo(slot, &token.info); rv != CKR_OK) {
      why_none = rv;
      continue;
    }
    if ((token.info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
    labels.push_back(padded_text(token.info.label, sizeof(token.info.label)));
    if (p11_kit_uri_match_token_info(uri.get(), &token.info) == 1) matches.push_back(token);
  }
  if (matches.empty())
    return fail(ErrorCode::kHsm, "no token matches the URI: " + rv_name(why_none), uri_text,
                list_of(labels), why_none);
  if (matches.size() > 1)
    return fail(ErrorCode::kUsage, fmt::format("{} tokens match the URI", matches.size()), uri_text,
                "add the serial number; " + list_of(labels));
  return matches.front();
}

}  // namespace fugo::hsm
