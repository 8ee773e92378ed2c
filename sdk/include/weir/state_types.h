// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/value.h"

// What types a stage keeps its state as, so that another version of it can be asked, before an upgrade moves anything,
// whether it could go on with what is stored (abi.h, state_try).

namespace weir {

/// The name of a state, as a template's argument.
template <std::size_t N>
struct [[gnu::visibility("hidden")]] StateName {
  constexpr StateName(const char (&name)[N]) { std::copy_n(name, N, text); }  // NOLINT: stands where a text stands
  char text[N] = {};
};

/// One state that a stage keeps: `out.state<T>(name)`.
template <typename T, StateName kName = "">
struct [[gnu::visibility("hidden")]] State {
  using Type = T;
  static constexpr std::string_view name() { return {kName.text, sizeof(kName.text) - 1}; }
};

/// All states of a stage, as it may declare them:
///
///     using States = weir::States<weir::State<std::int64_t>, weir::State<Window, "windows">>;
///
/// A stage that does not is judged by all types that its library keeps any state as.
template <typename... Each>
struct [[gnu::visibility("hidden")]] States {};

/// A type of states: whether it reads a value.
struct [[gnu::visibility("hidden")]] StateType {
  /// False where it does not, and `why`.
  bool (*reads)(BytesView value, std::string& why) = nullptr;
  const StateType* next = nullptr;
};

/// Those that anything in this library keeps state as; from loading on.
[[gnu::visibility("hidden")]] inline const StateType* library_state_types = nullptr;

/// `T` as a type of states. As the worker would restore it: what this reads, that does, and nothing else.
template <typename T>
class [[gnu::visibility("hidden")]] StateTypeOf {
 public:
  static bool reads(BytesView value, std::string& why) {
    try {
      static_cast<void>(ValueView(value).as<T>());
      return true;
    } catch (const DecodeError& error) {
      why = error.what();
      return false;
    }
  }
  /// Adds it to those of the library. True, for an initialiser.
  static bool add() {
    node_.next = library_state_types;
    library_state_types = &node_;
    return true;
  }

 private:
  static inline StateType node_{&StateTypeOf::reads, nullptr};
};

/// Judges stored state, value by value, as one that `Stage` would have to go on with. Of states that it does not
/// declare, all values of one name must be of one type. [thread of the instance]
template <typename Stage>
class [[gnu::visibility("hidden")]] StateTrial {
 public:
  enum class Answer { kReads, kUnknown, kCannot };

  Answer judge(std::string_view name, BytesView value, std::string& why) {
    if constexpr (requires { typename Stage::States; }) {
      return declared(name, value, why, typename Stage::States());
    } else {
      return guessed(name, value, why);
    }
  }

 private:
  struct Candidates {
    std::string name;
    std::vector<const StateType*> types;
  };

  template <typename... Each>
  static Answer declared(std::string_view name, BytesView value, std::string& why, States<Each...>) {
    Answer answer = Answer::kReads;  // what it does not name stays as it is
    const auto look = [&]<typename One>(One) {
      if (One::name() == name && !StateTypeOf<typename One::Type>::reads(value, why)) answer = Answer::kCannot;
    };
    (look(Each()), ...);
    return answer;
  }

  Answer guessed(std::string_view name, BytesView value, std::string& why) {
    if (library_state_types == nullptr) return Answer::kUnknown;
    auto at = std::find_if(names_.begin(), names_.end(), [&](const Candidates& each) { return each.name == name; });
    if (at == names_.end()) {
      names_.push_back({std::string(name), {}});
      at = names_.end() - 1;
      for (const StateType* type = library_state_types; type != nullptr; type = type->next) at->types.push_back(type);
    }
    std::erase_if(at->types, [&](const StateType* type) { return !type->reads(value, why); });
    return at->types.empty() ? Answer::kCannot : Answer::kReads;
  }

  std::vector<Candidates> names_;
};

}  // namespace weir
