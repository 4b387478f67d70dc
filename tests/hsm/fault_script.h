// Driving the fault module, from a test of any layer: see fault_module/README.md.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fugo::hsm::testing {

// fault_module is the path of the module, for the setting hsm.module.
[[nodiscard]] std::filesystem::path fault_module();

// FaultScript is the script of one fault module, in this process or in another one.
//
//   FaultScript faults(directory / "faults");
//   config.module = fault_module();
//   run_fugo(config, faults.environment());
//   faults.set("C_Encrypt after 3 times 2 rv CKR_DEVICE_ERROR");
//   ... faults.log() ... faults.lift();
class FaultScript {
 public:
  explicit FaultScript(std::filesystem::path file) : file_(std::move(file)) { lift(); }

  // set replaces the script, and all of its rules count from zero.
  void set(const std::string& text) const;
  // lift removes all faults.
  void lift() const { set(""); }
  // log is every effect that happened since clear_log, one a line; happened() is how many.
  [[nodiscard]] std::string log() const;
  [[nodiscard]] std::size_t happened() const;
  void clear_log() const;

  // environment is what a process needs that is to load the module: name and value.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> environment() const;
  // use sets these variables in this process; before the module is loaded for the first time.
  void use() const;

 private:
  const std::filesystem::path file_;
};

}  // namespace fugo::hsm::testing
