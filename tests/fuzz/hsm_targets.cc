// What the HSM layer reads from files and settings.
#include "hsm/find_token.h"
#include "hsm/pin.h"
#include "hsm/recovery_package.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::fuzz;

FUGO_FUZZ(pin_file) {
  if (hsm::Pin::read(as_file(input))) reached();
}

FUGO_FUZZ(recovery_package) {
  const auto package = hsm::read_recovery_package(as_file(input));
  if (package) reached();
  if (!package) must(!package.error().what.empty(), "an error says what");
}

FUGO_FUZZ(rsa_public_key) {
  const auto key = hsm::read_rsa_public_key(as_file(input));
  if (!key) return;
  reached();
  must(key->modulus.size() >= 256, "no short key");
}
