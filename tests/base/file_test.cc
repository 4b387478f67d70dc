#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace fugo {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "fugo-file-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_;
};

TEST_F(FileTest, WriteDurablyReplacesTheWholeFile) {
  const auto path = directory_ / "a";
  ASSERT_TRUE(write_durably(path, as_bytes("first and longer")));
  ASSERT_TRUE(write_durably(path, as_bytes("second")));
  EXPECT_EQ(read_small(path, 100).value(), "second");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

TEST_F(FileTest, MappedFileOutlivesUnlink) {
  const auto path = directory_ / "a";
  ASSERT_TRUE(write_durably(path, as_bytes("content")));
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file);
  std::filesystem::remove(path);
  EXPECT_EQ(as_text(file->bytes()), "content");
}

TEST_F(FileTest, ErrorsNameThePathAndTheReason) {
  const auto missing = MappedFile::open(directory_ / "none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_NE(missing.error().message().find("none"), std::string::npos);
  EXPECT_NE(missing.error().message().find("No such file"), std::string::npos);
  EXPECT_FALSE(MappedFile::open(directory_));
  ASSERT_TRUE(write_durably(directory_ / "long", as_bytes("12345")));
  EXPECT_FALSE(read_small(directory_ / "long", 4));
}

}  // namespace
}  // namespace fugo
