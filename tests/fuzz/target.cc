#include "tests/fuzz/target.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace fugo::fuzz {
namespace {

// The files of one process, in memory where there is /dev/shm; gone with it.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    name += "/fugo-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

const Target* find_target(std::string_view name) {
  for (const Target& target : targets())
    if (target.name == name) return &target;
  return nullptr;
}

void must(bool kept, const char* promise) {
  if (kept) return;
  std::fprintf(stderr, "fuzz: broken: %s\n", promise);
  std::abort();
}

namespace {
std::size_t reached_so_far = 0;
}

void reached() { ++reached_so_far; }
std::size_t times_reached() { return reached_so_far; }

const std::filesystem::path& folder() {
  static const Folder made;
  return made.path;
}

std::filesystem::path put_file(const std::string& name, ByteView content) {
  const auto path = folder() / name;
  std::filesystem::create_directories(path.parent_path());
  {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()),
              static_cast<std::streamsize>(content.size()));
  }
  ::chmod(path.c_str(), 0600);
  return path;
}

std::filesystem::path as_file(ByteView input, const char* suffix) {
  return put_file(std::string("input") + suffix, input);
}

}  // namespace fugo::fuzz
