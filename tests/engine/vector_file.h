// Reading the files of tests/data/vectors.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace fugo::testing {

// read_vectors throws std::runtime_error when the file is missing, or names no source.
inline nlohmann::json read_vectors(const std::string& name) {
  std::ifstream file(std::string(FUGO_TEST_DATA) + "/vectors/" + name);
  if (!file) throw std::runtime_error("no vector file " + name);
  auto vectors = nlohmann::json::parse(file);
  if (vectors.at("source").get<std::string>().empty() || vectors.at("cases").empty())
    throw std::runtime_error("vector file without source or cases: " + name);
  return vectors;
}

}  // namespace fugo::testing
