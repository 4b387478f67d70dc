// The Debian packages that cpack makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/package/installation.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Debian : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory;
    packages_ = new std::vector<std::filesystem::path>(make_debian_packages(directory_->path()));
  }
  static void TearDownTestSuite() {
    delete packages_;
    delete directory_;
  }
  // field gives a field of the package with this name.
  static std::string field(const std::string& package, const std::string& name) {
    return shell("dpkg-deb -f " + file(package) + " " + name).out;
  }
  static std::string files(const std::string& package) {
    return shell("dpkg-deb -c " + file(package)).out;
  }
  static std::string file(const std::string& package) {
    for (const auto& path : *packages_)
      if (path.filename().string().rfind(package + "_", 0) == 0) return path.string();
    ADD_FAILURE() << "there is no package " << package;
    return "/nonexistent";
  }
  inline static TemporaryDirectory* directory_ = nullptr;
  inline static std::vector<std::filesystem::path>* packages_ = nullptr;
};

TEST_F(Debian, FourPackages) { EXPECT_EQ(packages_->size(), 4U); }

TEST_F(Debian, Library) {
  EXPECT_THAT(field("libfugo0", "Depends"), HasSubstr("libc6"));
  EXPECT_THAT(field("libfugo0", "Depends"), HasSubstr("liblmdb0"));
  EXPECT_THAT(field("libfugo0", "Depends"), HasSubstr("tzdata"));
  EXPECT_THAT(field("libfugo0", "Depends"), Not(HasSubstr("spdlog")));
  EXPECT_THAT(files("libfugo0"), HasSubstr("/libfugo.so.0 ->"));
  EXPECT_THAT(files("libfugo0"), Not(HasSubstr("/libfugo.so ->")));
  EXPECT_THAT(files("libfugo0"), Not(HasSubstr("/bin/")));
  const auto control = "dpkg-deb --ctrl-tarfile " + file("libfugo0") + " | tar -xO ";
  EXPECT_THAT(shell(control + "./postinst").out, HasSubstr("ldconfig"));
  EXPECT_THAT(shell(control + "./shlibs").out, HasSubstr("libfugo 0"));
}

TEST_F(Debian, DevelopmentFiles) {
  EXPECT_THAT(field("libfugo-dev", "Depends"), HasSubstr("libfugo0 (= "));
  const auto all = files("libfugo-dev");
  for (const char* name :
       {"/usr/include/fugo/fugo.h", "/usr/include/fugo/fugo.hpp", "/libfugo.so ->",
        "/cmake/fugo/fugoConfig.cmake", "/pkgconfig/fugo.pc", "/man3/libfugo.3"})
    EXPECT_THAT(all, HasSubstr(name));
}

TEST_F(Debian, Daemon) {
  EXPECT_THAT(field("fugo", "Depends"), HasSubstr("libprometheus-cpp"));
  const auto all = files("fugo");
  for (const char* name :
       {"/usr/bin/fugo", "/usr/bin/fugod", "/usr/lib/systemd/system/fugod.service",
        "/usr/lib/sysusers.d/fugo.conf", "/usr/share/fugo/fugo-alerts.yml",
        "/usr/share/bash-completion/completions/fugo", "/man1/fugo.1", "/man5/fugo.toml.5",
        "/man8/fugod.8"})
    EXPECT_THAT(all, HasSubstr(name));
  EXPECT_THAT(all, Not(HasSubstr("/etc/")));  // a site's own, from its first byte
  const auto unit = shell("dpkg-deb --fsys-tarfile " + file("fugo") +
                          " | tar -xO ./usr/lib/systemd/system/fugod.service");
  EXPECT_THAT(unit.out, HasSubstr("ExecStart=/usr/bin/fugod --config /etc/fugo/fugo.toml"));
}

// An agency has nothing of a site: the programs are text, and need no library of fugo's.
TEST_F(Debian, Agency) {
  EXPECT_EQ(field("fugo-agency", "Depends"), "openssl\n");
  EXPECT_EQ(field("fugo-agency", "Architecture"), "all\n");
  const auto all = files("fugo-agency");
  EXPECT_THAT(all, HasSubstr("/usr/share/fugo/agency/answer.sh"));
  EXPECT_THAT(all, Not(HasSubstr("/usr/bin/")));
  // They run where the package puts them.
  const auto root = directory_->path() / "agency";
  ASSERT_EQ(shell("dpkg-deb -x " + file("fugo-agency") + " " + root.string()).exit_code, 0);
  for (const char* program : {"keep-symbols", "move-symbols", "open-answer"}) {
    const auto run = shell((root / "usr/share/fugo/agency").string() + "/" + program + ".sh");
    EXPECT_EQ(run.exit_code, 2) << program << run.err;
    EXPECT_THAT(run.err, HasSubstr(std::string(program) + ": --agency CODE"));
  }
}

}  // namespace
}  // namespace fugo::test
