// PINs: read from files into wiped memory, made at random into files.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "base/secret.h"
#include "hsm/ck_names.h"

namespace fugo::hsm {

// Pin is a PIN in wiped memory.
class Pin {
 public:
  // read takes the one line of `file`, without its newline. kUsage when the file is missing,
  // empty, longer than 255 bytes or a line, or may be read or written by group or others (of a
  // file in $CREDENTIALS_DIRECTORY: written by the group).
  [[nodiscard]] static Result<Pin> read(const std::filesystem::path& file);

  [[nodiscard]] CK_UTF8CHAR* data() { return bytes_.data(); }
  [[nodiscard]] CK_ULONG size() const { return size_; }

 private:
  SecretBytes<256> bytes_;
  CK_ULONG size_ = 0;
};

// make_pin_file writes a PIN of 128 random bits from the operating system as 32 hexadecimal
// digits and a newline to `file`, mode 0600. kRefused when the file is there already.
[[nodiscard]] Status make_pin_file(const std::filesystem::path& file);

}  // namespace fugo::hsm
