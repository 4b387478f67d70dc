#include "bench/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/permutation.h"

namespace fugo::bench {
namespace {

// Prefecture says how many municipalities it has (Tokyo's 23 special wards are counted) and the
// populations of its designated cities in thousands, rounded.
struct Prefecture {
  std::string_view name;
  unsigned municipalities;
  std::array<unsigned, 3> designated_city_thousands;
};

constexpr std::array<Prefecture, 47> kPrefectures{{
    {"Hokkaido", 179, {1970}},  {"Aomori", 40, {}},
    {"Iwate", 33, {}},          {"Miyagi", 35, {1100}},
    {"Akita", 25, {}},          {"Yamagata", 35, {}},
    {"Fukushima", 59, {}},      {"Ibaraki", 44, {}},
    {"Tochigi", 25, {}},        {"Gunma", 35, {}},
    {"Saitama", 63, {1350}},    {"Chiba", 54, {980}},
    {"Tokyo", 62, {}},          {"Kanagawa", 33, {3770, 1550, 720}},
    {"Niigata", 30, {770}},     {"Toyama", 15, {}},
    {"Ishikawa", 19, {}},       {"Fukui", 17, {}},
    {"Yamanashi", 27, {}},      {"Nagano", 77, {}},
    {"Gifu", 42, {}},           {"Shizuoka", 35, {680, 780}},
    {"Aichi", 54, {2330}},      {"Mie", 29, {}},
    {"Shiga", 19, {}},          {"Kyoto", 26, {1440}},
    {"Osaka", 43, {2770, 810}}, {"Hyogo", 41, {1500}},
    {"Nara", 39, {}},           {"Wakayama", 30, {}},
    {"Tottori", 19, {}},        {"Shimane", 19, {}},
    {"Okayama", 27, {710}},     {"Hiroshima", 23, {1190}},
    {"Yamaguchi", 19, {}},      {"Tokushima", 24, {}},
    {"Kagawa", 17, {}},         {"Ehime", 20, {}},
    {"Kochi", 34, {}},          {"Fukuoka", 60, {920, 1640}},
    {"Saga", 20, {}},           {"Nagasaki", 21, {}},
    {"Kumamoto", 45, {740}},    {"Oita", 18, {}},
    {"Miyazaki", 26, {}},       {"Kagoshima", 43, {}},
    {"Okinawa", 41, {}},
}};
constexpr unsigned kTokyo = 13;
constexpr unsigned kTokyoWards = 23;
constexpr std::array<unsigned, 3> kDesignatedCityNumbers{100, 130, 150};
constexpr unsigned kFirstWard = 101, kFirstCity = 201, kFirstTown = 301;

// A little under half of the municipalities are cities; the rest are towns and villages.
constexpr double kShareOfCities = 0.45;
constexpr double kMedianCity = 71'000, kMedianTown = 8'300, kMedianWard = 380'000;
constexpr double kSpread = 0.8, kWardSpread = 0.5;  // standard deviation of the logarithm

// numbers_of lists the three-digit numbers of a prefecture's municipalities, ascending.
std::vector<unsigned> numbers_of(unsigned prefecture) {
  const Prefecture& row = kPrefectures[prefecture - 1];
  std::vector<unsigned> numbers;
  for (std::size_t i = 0; i < kDesignatedCityNumbers.size(); ++i)
    if (row.designated_city_thousands[i] > 0) numbers.push_back(kDesignatedCityNumbers[i]);
  if (prefecture == kTokyo)
    for (unsigned i = 0; i < kTokyoWards; ++i) numbers.push_back(kFirstWard + i);
  const auto rest = row.municipalities - static_cast<unsigned>(numbers.size());
  const auto cities = static_cast<unsigned>(std::lround(rest * kShareOfCities));
  for (unsigned i = 0; i < rest; ++i)
    numbers.push_back(i < cities ? kFirstCity + i : kFirstTown + i - cities);
  return numbers;
}

// log_normal draws by the code, so that a municipality has the same size in every file.
double log_normal(const std::string& code, double median, double spread) {
  std::uint64_t hash = 0;
  for (const char c : code) hash = mix(hash ^ static_cast<unsigned char>(c));
  const double u = (static_cast<double>(mix(hash) >> 11U) + 0.5) * 0x1p-53;
  const double v = (static_cast<double>(mix(hash + 1) >> 11U) + 0.5) * 0x1p-53;
  const double normal = std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979323846 * v);
  return median * std::exp(spread * std::clamp(normal, -2.5, 2.5));
}

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

unsigned number_in(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) value = value * 10 + static_cast<unsigned>(c - '0');
  return value;
}

RegisteredAgency agency_of(std::string code, std::string name) {
  RegisteredAgency agency{std::move(code), std::move(name), AgencyKind::kNationalBody, 0};
  if (agency.code.size() != 6 || !all_digits(agency.code)) return agency;
  const unsigned prefecture = number_in(std::string_view(agency.code).substr(0, 2));
  if (prefecture < 1 || prefecture > kPrefectures.size()) return agency;
  agency.prefecture = prefecture;
  agency.kind =
      agency.code.substr(2, 3) == "000" ? AgencyKind::kPrefecture : AgencyKind::kMunicipality;
  return agency;
}

}  // namespace

std::string local_government_code(unsigned prefecture, unsigned number) {
  std::string code = fmt::format("{:02}{:03}", prefecture, number);
  unsigned sum = 0;
  for (unsigned i = 0; i < 5; ++i) sum += static_cast<unsigned>(code[i] - '0') * (6 - i);
  return code + static_cast<char>('0' + (11 - sum % 11) % 10);
}

unsigned resident_check_digit(std::uint64_t ten_digits) {
  constexpr std::array<unsigned, 10> kWeightsFromTheRight{2, 3, 4, 5, 6, 7, 2, 3, 4, 5};
  unsigned sum = 0;
  for (const unsigned weight : kWeightsFromTheRight) {
    sum += static_cast<unsigned>(ten_digits % 10) * weight;
    ten_digits /= 10;
  }
  const unsigned remainder = sum % 11;
  return remainder <= 1 ? 0 : 11 - remainder;
}

std::vector<RegisteredAgency> make_registry(unsigned national_bodies) {
  std::vector<RegisteredAgency> agencies;
  for (unsigned p = 1; p <= kPrefectures.size(); ++p) {
    const std::string name(kPrefectures[p - 1].name);
    agencies.push_back(agency_of(local_government_code(p, 0), name + " Prefecture"));
    for (const unsigned number : numbers_of(p))
      agencies.push_back(agency_of(local_government_code(p, number),
                                   fmt::format("{} Municipality {}", name, number)));
  }
  for (unsigned i = 1; i <= national_bodies; ++i)
    agencies.push_back(agency_of(fmt::format("N{:04}", i), fmt::format("National Body {}", i)));
  return agencies;
}

std::string registry_csv(const std::vector<RegisteredAgency>& agencies) {
  std::string csv = "agency_code,name,method\n";
  for (const auto& agency : agencies) csv += fmt::format("{},{},\n", agency.code, agency.name);
  return csv;
}

Result<std::vector<RegisteredAgency>> parse_registry(std::string_view csv) {
  std::vector<RegisteredAgency> agencies;
  for (std::size_t line = 1; !csv.empty(); ++line) {
    const std::size_t end = std::min(csv.find('\n'), csv.size());
    const std::string_view row = csv.substr(0, end);
    csv.remove_prefix(std::min(end + 1, csv.size()));
    if (line == 1) continue;  // the header
    const std::size_t comma = row.find(',');
    if (comma == 0 || comma == std::string_view::npos)
      return fail(ErrorCode::kUsage, "not a line of a registry of agencies",
                  fmt::format("line {}", line));
    const std::string_view rest = row.substr(comma + 1);
    agencies.push_back(
        agency_of(std::string(row.substr(0, comma)), std::string(rest.substr(0, rest.find(',')))));
  }
  return agencies;
}

double resident_weight(const RegisteredAgency& agency) {
  if (agency.kind != AgencyKind::kMunicipality) return 0;
  const unsigned number = number_in(std::string_view(agency.code).substr(2, 3));
  const auto& designated = kPrefectures[agency.prefecture - 1].designated_city_thousands;
  for (std::size_t i = 0; i < kDesignatedCityNumbers.size(); ++i)
    if (number == kDesignatedCityNumbers[i] && designated[i] > 0) return designated[i] * 1000.0;
  if (number < kFirstCity) return log_normal(agency.code, kMedianWard, kWardSpread);
  if (number < kFirstTown) return log_normal(agency.code, kMedianCity, kSpread);
  return log_normal(agency.code, kMedianTown, kSpread);
}

}  // namespace fugo::bench
