#include "tests/hsm/fault_script.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {

std::filesystem::path fault_module() { return FUGO_FAULT_MODULE; }

void FaultScript::set(const std::string& text) const {
  // Two files in turn under one name: the module sees a change by the file's number.
  const std::filesystem::path next = file_.string() + ".next";
  std::ofstream(next) << text << '\n';
  std::filesystem::rename(next, file_);
}

std::string FaultScript::log() const {
  std::ifstream file(file_.string() + ".log");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t FaultScript::happened() const {
  const std::string lines = log();
  return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
}

void FaultScript::clear_log() const { std::filesystem::remove(file_.string() + ".log"); }

std::vector<std::pair<std::string, std::string>> FaultScript::environment() const {
  const char* const real = device() == Device::kNss ? kNssSoftoken : kSoftHsm;
  return {{"FUGO_FAULT_REAL_MODULE", real}, {"FUGO_FAULT_SCRIPT", file_.string()}};
}

void FaultScript::use() const {
  for (const auto& [name, value] : environment()) ::setenv(name.c_str(), value.c_str(), 1);
}

}  // namespace fugo::hsm::testing
