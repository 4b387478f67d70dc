// The examples, built against the installed package alone, on a site that the installed command
// made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/package/installation.h"

namespace fugo::test {
namespace {

constexpr const char* kAgencies =
    "agency_code,name,method\n"
    "131016,Chiyoda,\n"
    "141003,Yokohama,xts-aes256\n"
    "472018,Naha,\n";
constexpr const char* kRequest =
    "#fugo-request,version=1,id=E1,kind=issue,environment=test,records=5\n"
    "processing_number,agency_code,resident_code\n"
    "0001,131016,24727059608\n"
    "0002,131016,24846016224\n"
    "0003,141003,24727059608\n"
    "0004,141003,24846016224\n"
    "0005,472018,24727059608\n";

// ExampleSite is a site with two people: both agencies of method one-way and XTS know both of
// them, 472018 knows the first.
class ExampleSite {
 public:
  static const ExampleSite& instance() {
    static const ExampleSite site;
    return site;
  }
  // symbol gives what a processing number was answered with.
  [[nodiscard]] const std::string& symbol(const std::string& number) const {
    return symbols_.at(number);
  }
  [[nodiscard]] std::filesystem::path config() const { return scratch_.path() / "site/fugo.toml"; }
  [[nodiscard]] const std::filesystem::path& scratch() const { return scratch_.path(); }

 private:
  ExampleSite() {
    const auto& at = scratch_.path();
    write_file(at / "agencies.csv", kAgencies);
    write_file(at / "request.csv", kRequest);
    const std::string fugo = (Installation::instance().prefix() / "bin/fugo").string();
    const auto made =
        shell("cd " + at.string() + " && " + fugo + " init --dir site && export FUGO_CONFIG=site/" +
              "fugo.toml && " + fugo + " agency import agencies.csv && " + fugo +
              " issue request.csv --out out");
    EXPECT_EQ(made.exit_code, 0) << made.err;
    for (const char* agency : {"131016", "141003", "472018"})
      for (const auto& line : lines(read_file(at / "out/E1" / (std::string(agency) + ".csv"))))
        if (line.rfind("000", 0) == 0) symbols_[line.substr(0, 4)] = line.substr(5, 27);
    EXPECT_EQ(symbols_.size(), 5U);
  }
  TemporaryDirectory scratch_;
  std::map<std::string, std::string> symbols_;  // processing number -> symbol
};

std::string mistyped(std::string symbol) {
  symbol.back() = symbol.back() == '0' ? '1' : '0';
  return symbol;
}

// expect_links runs a built example, and looks at what it says of every kind of symbol.
void expect_links(const std::string& program) {
  const auto& site = ExampleSite::instance();
  const std::string naha = site.symbol("0005");
  for (const auto& [from, numbers] : std::map<std::string, std::vector<std::string>>{
           {"131016", {"0001", "0002"}}, {"141003", {"0003", "0004"}}}) {
    const auto& first = site.symbol(numbers[0]);
    const auto& second = site.symbol(numbers[1]);
    const auto linked = shell(program + " " + site.config().string() + " " + from + " 472018 " +
                              first + " " + second + " " + naha + " " + mistyped(first) + " " +
                              first.substr(1) + " " + first + "0 ''");
    EXPECT_EQ(linked.exit_code, 0) << linked.err;
    EXPECT_EQ(linked.out, "1 ok " + naha +
                              "\n2 not_issued \n3 unknown \n4 bad_symbol \n5 bad_symbol \n"
                              "6 bad_symbol \n7 bad_symbol \n")
        << from << linked.err;
  }
  const auto nobody = shell(program + " " + site.config().string() + " 999999 472018 " + naha);
  EXPECT_EQ(nobody.out, "1 unknown_agency \n") << nobody.err;
  const auto nowhere = shell(program + " /nonexistent/fugo.toml 131016 472018 " + naha);
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.err, testing::HasSubstr("there is no such configuration file"));
}

TEST(Examples, CppByFindPackage) {
  const auto build = (ExampleSite::instance().scratch() / "cpp").string();
  const auto built = shell("cmake -G Ninja -S " FUGO_SOURCE_DIR "/examples/cpp -B " + build +
                           " -DCMAKE_PREFIX_PATH=" + Installation::instance().prefix().string() +
                           " && cmake --build " + build);
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;
  expect_links(build + "/link-batch");
}

TEST(Examples, CByPkgConfig) {
  const auto& installation = Installation::instance();
  const auto build = ExampleSite::instance().scratch() / "c";
  std::filesystem::copy(FUGO_SOURCE_DIR "/examples/c", build);
  const auto built = shell("PKG_CONFIG_PATH=" + (installation.library() / "pkgconfig").string() +
                           " make -C " + build.string());
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;
  expect_links("LD_LIBRARY_PATH=" + installation.library().string() + " " +
               (build / "link-steps").string());
}

TEST(Examples, JavaByJna) {
  const auto build = ExampleSite::instance().scratch() / "java";
  const auto built = shell("javac -Xlint:all -Werror -cp /usr/share/java/jna.jar -d " +
                           build.string() + " " FUGO_SOURCE_DIR "/examples/java/LinkBatch.java");
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;
  expect_links("java -cp /usr/share/java/jna.jar:" + build.string() +
               " -Djna.library.path=" + Installation::instance().library().string() + " LinkBatch");
}

}  // namespace
}  // namespace fugo::test
