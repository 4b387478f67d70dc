// What the HSM layer reads from files and settings.
#include "hsm/find_token.h"
#include "hsm/pin.h"
#include "hsm/recovery_package.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using fugo::fuzz::as_file;

FUGO_FUZZ(pin_file) { (void)hsm::Pin::read(as_file(input)); }

FUGO_FUZZ(recovery_package) {
  const auto package = hsm::read_recovery_package(as_file(input));
  if (!package) fuzz::must(!package.error().what.empty(), "an error says what");
}

FUGO_FUZZ(rsa_public_key) { (void)hsm::read_rsa_public_key(as_file(input)); }
