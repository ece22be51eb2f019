#pragma once
// Result<T>: a value, or the Error that kept us from having one.

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace onebox {

// Whose fault a failure is: it decides the status code and the log level.
enum class Blame : unsigned char { kClient, kApp, kOperator, kSystem };

// Whether trying the same thing again can help.
enum class Retry : unsigned char { kNever, kIfIdempotent, kYes };

// What went wrong outside our control. Bugs are not Errors: they abort in CHECK().
struct Error {
  Blame blame = Blame::kSystem;
  Retry retry = Retry::kNever;
  int system_error = 0;  // errno, or 0 where no system call was involved
  std::string message;   // one sentence for the log, without a full stop
};

inline Error OperatorError(std::string message) {
  return {Blame::kOperator, Retry::kNever, 0, std::move(message)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  // NOLINTBEGIN(google-explicit-constructor): so that `return value;` and `return error;` read well
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }

  // Asking for the side that is not there is a bug: it ends the program.
  const T& value() const& {
    CHECK(ok());
    return *std::get_if<T>(&state_);
  }
  T& value() & {
    CHECK(ok());
    return *std::get_if<T>(&state_);
  }
  T&& value() && {
    CHECK(ok());
    return std::move(*std::get_if<T>(&state_));
  }
  const Error& error() const& {
    CHECK(!ok());
    return *std::get_if<Error>(&state_);
  }
  Error&& error() && {
    CHECK(!ok());
    return std::move(*std::get_if<Error>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

// A Result without a value: Done(), or an Error.
using Status = Result<std::monostate>;
inline Status Done() {
  return std::monostate{};
}

}  // namespace onebox

// TRY(expression): the value of a Result, or return its Error from the enclosing function.
#define TRY(expression)                                           \
  __extension__({                                                 \
    auto try_result_ = (expression);                              \
    if (!try_result_.ok()) return std::move(try_result_).error(); \
    std::move(try_result_).value();                               \
  })
