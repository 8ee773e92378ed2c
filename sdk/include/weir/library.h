// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "weir/abi.h"
#include "weir/adapter.h"

// Names the stages of a library. At the end of one of its source files stands one of
//
//     WEIR_STAGE(Sum, "sum");
//     WEIR_LIBRARY(weir::stage<Sum>("sum"), weir::stage<Threshold>("threshold"));
//
// for classes derived from weir::Stage, weir::Source or weir::Sink. It defines the one function that the library
// exports (abi.h). Nothing registers itself: what is not named here does not exist.

namespace weir {

/// What a plugin class declares of itself, with the defaults of stage.h.
template <typename T>
class [[gnu::visibility("hidden")]] Declared {
 public:
  static constexpr bool kIsSource = std::derived_from<T, Source>;
  static constexpr bool kIsSink = std::derived_from<T, Sink>;
  static constexpr bool kIsStage = std::derived_from<T, Stage>;
  static_assert(kIsSource + kIsSink + kIsStage == 1,
                "a plugin derives from one of weir::Stage, weir::Source, weir::Sink");

  static constexpr const char* schema() {
    if constexpr (requires { T::kSchema; }) {
      constexpr std::string_view kText = T::kSchema;
      static_assert(kText.data()[kText.size()] == '\0', "kSchema must view a whole string literal");
      return kText.data();
    } else {
      return nullptr;
    }
  }

  static Ports inputs() {
    if constexpr (kIsSource) {
      return {kNone.data(), 0};
    } else if constexpr (requires { T::kInputs; }) {
      return {kInputNames.data(), kInputNames.size() - 1};
    } else {
      return {kIn.data(), 1};
    }
  }
  static Ports outputs() {
    if constexpr (kIsSink) {
      return {kNone.data(), 0};
    } else if constexpr (requires { T::kOutputs; }) {
      return {kOutputNames.data(), kOutputNames.size() - 1};
    } else {
      return {kOut.data(), 1};
    }
  }

  static bool keyed() {
    if constexpr (!kIsStage) {
      return false;
    } else if constexpr (requires { T::kKeyed; }) {
      return T::kKeyed;
    } else {
      return library_keeps_state;
    }
  }

  static constexpr bool mergeable() {
    if constexpr (!kIsStage) {
      return false;
    } else {
      constexpr bool kMerges = !std::is_same_v<decltype(&T::merge), void (Stage::*)(const PartialView&, Context&)>;
      if constexpr (requires { T::kMergeable; }) {
        static_assert(kMerges || !T::kMergeable, "a stage that says kMergeable has merge()");
        return T::kMergeable;
      } else {
        return kMerges;
      }
    }
  }

  static std::uint32_t flags() {
    std::uint32_t flags = 0;
    const auto set = [&](bool on, std::uint32_t flag) { flags |= on ? flag : 0U; };
    set(keyed(), WEIR_FLAG_KEYED);
    if constexpr (requires { T::kKeyPreserving; }) set(T::kKeyPreserving, WEIR_FLAG_KEY_PRESERVING);
    set(mergeable(), WEIR_FLAG_MERGEABLE);
    if constexpr (requires { T::kLocal; }) set(T::kLocal, WEIR_FLAG_LOCAL);
    if constexpr (requires { T::kDeterministic; }) set(!T::kDeterministic, WEIR_FLAG_NONDETERMINISTIC);
    return flags;
  }

  static std::uint32_t sharing() {
    if constexpr (requires { T::kSharing; }) {
      return static_cast<std::uint32_t>(T::kSharing);
    } else {
      return WEIR_SHARING_SINGLE;
    }
  }

 private:
  template <typename Names>
  static constexpr auto ending_with_null(const Names& names) {
    std::array<const char*, std::tuple_size_v<Names> + 1> ended{};
    for (std::size_t i = 0; i < names.size(); ++i) ended[i] = std::string_view(names[i]).data();
    return ended;
  }
  static constexpr auto input_names() {
    if constexpr (requires { T::kInputs; })
      return ending_with_null(T::kInputs);
    else
      return std::array<const char*, 1>{};
  }
  static constexpr auto output_names() {
    if constexpr (requires { T::kOutputs; })
      return ending_with_null(T::kOutputs);
    else
      return std::array<const char*, 1>{};
  }

  static constexpr std::array<const char*, 1> kNone{};
  static constexpr std::array<const char*, 2> kIn{"in"};
  static constexpr std::array<const char*, 2> kOut{"out"};
  static constexpr auto kInputNames = input_names();
  static constexpr auto kOutputNames = output_names();
};

/// The description of plugin class `T` under the name that topologies call it by.
template <typename T>
weir_descriptor stage(const char* name) {
  using Of = Declared<T>;
  weir_descriptor described{};
  described.struct_size = sizeof(described);
  described.name = name;
  described.schema = Of::schema();
  described.inputs = Of::inputs().names;
  described.outputs = Of::outputs().names;
  described.flags = Of::flags();
  described.sharing = Of::sharing();
  described.create = Instance<T>::create;
  described.destroy = Instance<T>::destroy;
  if constexpr (Of::kIsSource) {
    using Adapter = SourceAdapter<T>;
    described.kind = WEIR_KIND_SOURCE;
    Adapter::outputs = Of::outputs();
    described.enumerate = Adapter::enumerate;
    described.read = Adapter::read;
    if constexpr (!std::is_same_v<decltype(&T::on_durable), void (Source::*)(Split&)>) {
      described.on_durable = Adapter::on_durable;
    }
  } else if constexpr (Of::kIsSink) {
    using Adapter = SinkAdapter<T>;
    described.kind = WEIR_KIND_SINK;
    Adapter::inputs = Of::inputs();
    described.open = Adapter::open;
    described.write = Adapter::write;
    described.flush = Adapter::flush;
    described.close = Adapter::close;
  } else {
    static_assert(std::is_same_v<decltype(&T::on_timer), void (Stage::*)(const Timer&, Context&)>,
                  "timers (on_timer) are not built in this version of Weir");
    using Adapter = StageAdapter<T>;
    described.kind = WEIR_KIND_STAGE;
    Adapter::inputs = Of::inputs();
    Adapter::outputs = Of::outputs();
    Adapter::keyed = Of::keyed();
    described.process = Adapter::process;
    if constexpr (!std::is_same_v<decltype(&T::on_watermark), void (Stage::*)(Context&)>) {
      described.on_watermark = Adapter::on_watermark;
    }
    if constexpr (!std::is_same_v<decltype(&T::finish), void (Stage::*)(Context&)>) {
      described.finish = Adapter::finish;
    }
    if constexpr (Of::mergeable()) described.merge = Adapter::merge;
    if (Adapter::keyed) {
      described.flags |= WEIR_FLAG_STATE_IN_PARTS;
      described.state_load = Adapter::state_load;
      described.state_flush = Adapter::state_flush;
      described.state_drop = Adapter::state_drop;
      described.state_bytes = Adapter::state_bytes;
      described.state_on_demand = Adapter::state_on_demand;
      described.state_evict = Adapter::state_evict;
      described.state_try = Adapter::state_try;
      described.state_pending = Adapter::state_pending;
    }
  }
  return described;
}

/// The stages of a library in the form that abi.h asks for; one constant in each.
template <std::size_t kCount>
class Library {
 public:
  explicit Library(const std::array<weir_descriptor, kCount>& stages) : stages_(stages) {
    for (std::size_t i = 0; i < kCount; ++i) pointers_[i] = &stages_[i];
    described_.struct_size = sizeof(described_);
    described_.abi_minor = WEIR_ABI_MINOR;
#if defined(__clang__)
    described_.built_with = __VERSION__;
#else
    described_.built_with = "g++ " __VERSION__;
#endif
    described_.stage_count = kCount;
    described_.stages = pointers_.data();
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  [[nodiscard]] const weir_library* described() const { return &described_; }

 private:
  std::array<weir_descriptor, kCount> stages_;
  std::array<const weir_descriptor*, kCount> pointers_{};
  weir_library described_{};
};

}  // namespace weir

#define WEIR_LIBRARY(...)                                            \
  extern "C" WEIR_EXPORT const weir_library* weir_library_v1(void) { \
    static const ::weir::Library library{::std::array{__VA_ARGS__}}; \
    return library.described();                                      \
  }                                                                  \
  static_assert(true, "takes the semicolon")

#define WEIR_STAGE(Class, name) WEIR_LIBRARY(::weir::stage<Class>(name))
