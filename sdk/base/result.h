// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sdk/base/check.h"

namespace weir {

/// What a program may want to tell apart; the person reads the sentence.
enum class Code {
  kInvalid,      ///< the caller's input is wrong
  kNotFound,     ///< what was named does not exist
  kInUse,        ///< a lock, port or name is held by another
  kRefused,      ///< understood and deliberately not done
  kDiskFull,     ///< no room; may pass
  kIo,           ///< the disk or the network failed
  kCorrupt,      ///< stored bytes contradict each other
  kUnavailable,  ///< nobody answered in time
};

std::string_view to_string(Code code);

/// Why something could not be done: a code for the program, a sentence for the person that names the thing and what to
/// do.
struct Error {
  Code code = Code::kInvalid;
  std::string message;
};

/// Either nothing to report or an Error. Must be looked at.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: meant to convert
  Status(Code code, std::string message) : error_(Error{code, std::move(message)}) {}

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  /// REQUIRES: !ok().
  [[nodiscard]] const Error& error() const {
    WEIR_CHECK(error_.has_value(), "error() of a status that is fine");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

/// Either a T or an Error. Must be looked at.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: meant to convert
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: meant to convert
  Result(Code code, std::string message) : error_(Error{code, std::move(message)}) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  /// REQUIRES: ok().
  [[nodiscard]] T& value() & {
    WEIR_CHECK(value_.has_value(), error_.message);
    return *value_;
  }
  [[nodiscard]] const T& value() const& {
    WEIR_CHECK(value_.has_value(), error_.message);
    return *value_;
  }
  [[nodiscard]] T&& value() && {
    WEIR_CHECK(value_.has_value(), error_.message);
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  /// REQUIRES: !ok().
  [[nodiscard]] const Error& error() const {
    WEIR_CHECK(!ok(), "error() of a result that has a value");
    return error_;
  }
  [[nodiscard]] Status status() const { return ok() ? Status() : Status(error_); }

 private:
  std::optional<T> value_;
  Error error_;
};

}  // namespace weir
