#include "bench/registry.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace fugo::bench {
namespace {

TEST(Registry, CheckDigitsAgreeWithPublishedSamples) {
  EXPECT_EQ(local_government_code(1, 100), "011002");
  EXPECT_EQ(local_government_code(13, 101), "131016");
  EXPECT_EQ(local_government_code(13, 113), "131130");
  EXPECT_EQ(local_government_code(47, 201), "472018");
  EXPECT_EQ(resident_check_digit(2472705960), 8U);
  EXPECT_EQ(resident_check_digit(2484601622), 4U);
  EXPECT_EQ(resident_check_digit(2520801764), 3U);
}

TEST(Registry, HasTheCountrysNumbers) {
  const auto agencies = make_registry(20);
  std::set<std::string> codes;
  std::map<AgencyKind, int> kinds;
  for (const auto& agency : agencies) {
    EXPECT_TRUE(codes.insert(agency.code).second) << agency.code;
    ++kinds[agency.kind];
  }
  EXPECT_EQ(kinds[AgencyKind::kPrefecture], 47);
  EXPECT_EQ(kinds[AgencyKind::kMunicipality], 1741);
  EXPECT_EQ(kinds[AgencyKind::kNationalBody], 20);
  for (const char* code : {"011002", "131016", "131130", "472018"})
    EXPECT_TRUE(codes.contains(code)) << code;
}

TEST(Registry, SizesAreSpreadAsRealOnes) {
  double total = 0;
  int millions = 0, tens_of_thousands_or_less = 0;
  for (const auto& agency : make_registry(5)) {
    const double weight = resident_weight(agency);
    EXPECT_EQ(weight > 0, agency.kind == AgencyKind::kMunicipality);
    total += weight;
    millions += weight >= 1e6 ? 1 : 0;
    tens_of_thousands_or_less += weight > 0 && weight < 1e5 ? 1 : 0;
  }
  EXPECT_GT(total, 100e6);
  EXPECT_LT(total, 150e6);
  EXPECT_GT(millions, 8);
  EXPECT_LT(millions, 20);
  EXPECT_GT(tens_of_thousands_or_less, 1300);
}

TEST(Registry, IsReadBackAsWritten) {
  const auto agencies = make_registry(3);
  const auto back = parse_registry(registry_csv(agencies));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), agencies.size());
  for (std::size_t i = 0; i < agencies.size(); ++i) {
    EXPECT_EQ((*back)[i].code, agencies[i].code);
    EXPECT_EQ((*back)[i].name, agencies[i].name);
    EXPECT_EQ((*back)[i].kind, agencies[i].kind);
    EXPECT_EQ((*back)[i].prefecture, agencies[i].prefecture);
  }
  EXPECT_FALSE(parse_registry("agency_code,name,method\nno comma\n"));
}

}  // namespace
}  // namespace fugo::bench
