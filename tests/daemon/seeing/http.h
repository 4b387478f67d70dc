// The least of HTTP that a test needs.
#pragma once

#include <cstdint>
#include <string>

namespace fugo::test {

// free_port gives a port of 127.0.0.1 that nobody listens on.
[[nodiscard]] std::uint16_t free_port();

// http_get is the whole answer, head and body, of GET http://127.0.0.1:PORT/PATH; empty when
// nobody answers.
[[nodiscard]] std::string http_get(std::uint16_t port, const std::string& path);

}  // namespace fugo::test
