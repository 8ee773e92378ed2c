// SPDX-License-Identifier: Apache-2.0
#include "stages/host/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace weir::host {
namespace {

using LibraryFunction = const weir_library* (*)();
constexpr int kMajorsTried = 16;

/// What every descriptor has had since the first version: up to and including `destroy`.
constexpr std::size_t kDescriptorMin = offsetof(weir_descriptor, process);

std::string missing_call(const weir_descriptor& stage) {
  switch (stage.kind) {
    case WEIR_KIND_SOURCE:
      return stage.enumerate == nullptr ? "enumerate" : stage.read == nullptr ? "read" : "";
    case WEIR_KIND_STAGE:
      if (stage.process == nullptr) return "process";
      if ((stage.state_load == nullptr) != (stage.state_flush == nullptr)) return "state_load or state_flush";
      return "";
    case WEIR_KIND_SINK:
      return stage.open == nullptr ? "open" : stage.write == nullptr ? "write" : stage.flush == nullptr ? "flush" : "";
    default:
      return "a known kind";
  }
}

void add_folder(const std::string& folder, std::vector<std::string>& paths) {
  std::error_code error;
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".so") found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  paths.insert(paths.end(), found.begin(), found.end());
}

}  // namespace

Result<Library> Library::load(const std::string& path) {
  const auto refused = [&](const std::string& why) {
    return Result<Library>(Code::kRefused, fmt::format("{} cannot be used: {}", path, why));
  };
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  if (!std::filesystem::exists(absolute, error))
    return {Code::kNotFound, fmt::format("there is no library {}", absolute)};
  void* handle = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return refused(dlerror());
  auto* entry = reinterpret_cast<LibraryFunction>(dlsym(handle, WEIR_LIBRARY_SYMBOL));
  if (entry == nullptr) {
    for (int major = 0; major < kMajorsTried; ++major) {
      if (dlsym(handle, fmt::format("weir_library_v{}", major).c_str()) == nullptr) continue;
      return refused(
          fmt::format("it is written for version {} of the plugin boundary, this Weir loads version {}: build it again "
                      "with this Weir's headers",
                      major, WEIR_ABI_MAJOR));
    }
    return refused(fmt::format("it exports no {}: is it a stage library? (WEIR_STAGE or WEIR_LIBRARY exports it)",
                               WEIR_LIBRARY_SYMBOL));
  }
  const weir_library* described = entry();
  if (described == nullptr || described->struct_size < sizeof(weir_library) || described->stages == nullptr) {
    return refused("its description is malformed");
  }
  Library library;
  library.path_ = absolute;
  for (std::uint32_t i = 0; i < described->stage_count; ++i) {
    const weir_descriptor* theirs = described->stages[i];
    if (theirs == nullptr || theirs->struct_size < kDescriptorMin)
      return refused(fmt::format("the description of its stage {} is malformed", i));
    weir_descriptor stage;
    std::memset(&stage, 0, sizeof(stage));
    std::memcpy(&stage, theirs, std::min<std::size_t>(theirs->struct_size, sizeof(stage)));
    if (stage.name == nullptr || stage.create == nullptr || stage.destroy == nullptr) {
      return refused(fmt::format("its stage {} lacks a name, create or destroy", i));
    }
    if (const std::string missing = missing_call(stage); !missing.empty()) {
      return refused(fmt::format("its stage \"{}\" lacks {}", stage.name, missing));
    }
    library.stages_.push_back(stage);
  }
  return library;
}

const weir_descriptor* Library::find(const std::string& name) const {
  const auto found =
      std::find_if(stages_.begin(), stages_.end(), [&](const weir_descriptor& stage) { return name == stage.name; });
  return found == stages_.end() ? nullptr : &*found;
}

Libraries::Libraries(std::vector<std::string> paths) : paths_(std::move(paths)) {}

Result<const weir_descriptor*> Libraries::find(const std::string& plugin) {
  for (const auto& library : loaded_) {
    if (const weir_descriptor* stage = library->find(plugin)) return stage;
  }
  while (loaded_.size() < paths_.size()) {
    const std::string path = paths_[loaded_.size()];
    auto library = Library::load(path);
    loaded_.push_back(std::make_unique<Library>(library.ok() ? std::move(*library) : Library()));
    if (!library.ok()) {
      failures_ += "; " + library.error().message;
      continue;
    }
    if (const weir_descriptor* stage = loaded_.back()->find(plugin)) return stage;
  }
  return {Code::kNotFound,
          fmt::format("no library has the plugin \"{}\" (searched: {}){}", plugin, fmt::join(paths_, ", "), failures_)};
}

const Library* Libraries::holder(const std::string& plugin) const {
  for (const auto& library : loaded_) {
    if (library->find(plugin) != nullptr) return library.get();
  }
  return nullptr;
}

Result<const weir_descriptor*> StageLibraries::find(const StageSpec& stage) {
  const auto named = named_.find(stage.name);
  if (named == named_.end()) {
    auto found = others_.find(stage.plugin);
    if (found.ok()) found_[stage.name] = others_.holder(stage.plugin)->path();
    return found;
  }
  std::unique_ptr<Library>& library = loaded_[named->second];
  if (library == nullptr) {
    auto loaded = Library::load(named->second);
    if (!loaded.ok()) return loaded.error();
    library = std::make_unique<Library>(std::move(*loaded));
  }
  const weir_descriptor* plugin = library->find(stage.plugin);
  if (plugin == nullptr) {
    return {Code::kNotFound, fmt::format("{} has no plugin \"{}\", which stage \"{}\" needs", library->path(),
                                         stage.plugin, stage.name)};
  }
  found_[stage.name] = library->path();
  return plugin;
}

std::vector<std::string> library_paths(const std::vector<std::string>& named) {
  std::vector<std::string> paths = named;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) add_folder((self.parent_path().parent_path() / "lib" / "weir").string(), paths);
  if (const char* list = std::getenv("WEIR_LIBRARY_PATH")) {
    const std::string text = list;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find(':', at), text.size());
      const std::string item = text.substr(at, end - at);
      if (std::filesystem::is_directory(item, error)) {
        add_folder(item, paths);
      } else if (!item.empty()) {
        paths.push_back(item);
      }
      at = end + 1;
    }
  }
  return paths;
}

}  // namespace weir::host
