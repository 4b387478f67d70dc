#include "hsm/module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "base/per_process.h"
#include "hsm/token.h"

namespace fugo::hsm {
namespace {

// Loaded is one library of this process. It is never unloaded: SoftHSM crashes when it is.
struct Loaded {
  MeteredFunctions metered;
  bool initialised = false;  // by us
  bool foreign = false;      // by other code of this process
  std::string conf;
  std::weak_ptr<Module> holders;
};

// Registry is never destroyed, so that no PKCS#11 call can come from a static destructor. A forked
// child has its own: PKCS#11 asks it to call C_Initialize for itself.
struct Registry {
  std::mutex mutex;
  std::map<std::string, Loaded> loaded;
};
Registry& registry() { return per_process<Registry>(); }

Result<MeteredFunctions> load(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();  // NOLINT(concurrency-mt-unsafe): thread-local in glibc
    return fail(ErrorCode::kHsm, std::string("cannot load the PKCS#11 module: ") + (why ? why : ""),
                path, "check the setting hsm.module and that the package is installed");
  }
  void* symbol = ::dlsym(library, "C_GetFunctionList");
  if (symbol == nullptr)
    return fail(ErrorCode::kHsm, "not a PKCS#11 module: it has no C_GetFunctionList", path);
  CK_FUNCTION_LIST* functions = nullptr;
  const CK_RV rv = reinterpret_cast<CK_C_GetFunctionList>(symbol)(&functions);
  if (rv != CKR_OK || functions == nullptr) return fail_rv(rv, "C_GetFunctionList");
  return meter_functions(functions);
}

Status initialise(Loaded& module, const std::string& conf) {
  if (!conf.empty() && ::setenv("SOFTHSM2_CONF", conf.c_str(), 1) != 0)
    return fail(ErrorCode::kInternal, "cannot set SOFTHSM2_CONF");
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  const CK_RV rv = module.metered.functions->C_Initialize(&arguments);
  // Other code of this process may use the library too: shared, and then not ours to finalize.
  if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
    return fail_rv(rv, "C_Initialize",
                   conf.empty() ? "is SOFTHSM2_CONF set and readable?" : "configuration: " + conf);
  module.initialised = rv == CKR_OK;
  module.foreign = !module.initialised;
  if (!conf.empty()) module.conf = conf;
  return {};
}

}  // namespace

Result<std::shared_ptr<Module>> Module::open(const std::filesystem::path& library,
                                             const std::filesystem::path& softhsm_conf) {
  auto& [mutex, loaded] = registry();
  const std::lock_guard lock(mutex);
  Loaded& module = loaded[library.string()];
  const std::string conf = softhsm_conf.string();
  const bool same_conf = conf.empty() || conf == module.conf;
  if (auto held = module.holders.lock()) {
    if (same_conf) return held;
    return fail(ErrorCode::kUsage, "a token of another SoftHSM configuration is in use",
                library.string(), "one process can see one SOFTHSM2_CONF at a time");
  }
  if (module.metered.functions == nullptr) {
    FUGO_ASSIGN(module.metered, load(library.string()));
  }
  if (module.initialised && !same_conf) {
    module.initialised = false;
    FUGO_CK(module.metered.functions, C_Finalize, nullptr);
  }
  if (!module.initialised) FUGO_TRY(initialise(module, conf));
  std::shared_ptr<Module> made(new Module(library.string(), module.metered));
  module.holders = made;
  return made;
}

bool Module::is_foreign() const {
  auto& [mutex, loaded] = registry();
  const std::lock_guard lock(mutex);
  return loaded[library_].foreign;
}

Status Module::reinitialise(std::uint64_t seen, std::chrono::milliseconds limit) {
  FUGO_TRY(gate_->close(limit));
  struct Reopen {
    CallGate& gate;
    ~Reopen() { gate.open(); }
  } const reopen{*gate_};
  if (epoch_.load() != seen) return {};
  auto& [mutex, loaded] = registry();
  const std::lock_guard lock(mutex);
  Loaded& module = loaded[library_];
  if (module.foreign)
    return fail(ErrorCode::kHsm, "the module was initialised by other code of this process",
                library_, "it has to be started again for the token to be found");
  // From here on nothing of before counts, however it ends.
  epoch_.fetch_add(1);
  if (module.initialised) module.metered.functions->C_Finalize(nullptr);
  module.initialised = false;
  // The environment has the configuration already: setenv is for the time before there are threads.
  auto done = initialise(module, "");
  // It was ours, so it is: if it says that it had been initialised, it was not finalized.
  module.initialised = done.has_value();
  module.foreign = false;
  return done;
}

void finalize_all() {
  auto& [mutex, loaded] = registry();
  const std::lock_guard lock(mutex);
  for (auto& [path, module] : loaded) {
    if (!module.initialised) continue;
    module.initialised = false;
    module.metered.functions->C_Finalize(nullptr);
  }
}

}  // namespace fugo::hsm
