#pragma once
// A question that a program answers, in a process of its own, while we go on.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/result.h"
#include "os/process.h"

namespace onebox::os {

// What a program has written, and how it ended.
struct Said {
  enum class End : unsigned char { kByItself, kLate, kTooLong };
  End end = End::kByItself;
  ExitStatus status;  // where it ended by itself
  std::string text;
};

struct InquiryLimits {
  Time deadline;
  std::size_t text_bytes_max = 0;
};

// The program while it runs. Destroying it kills the process, which is then reaped by whoever reaps
// strangers.
class Inquiry {
 public:
  static Result<std::unique_ptr<Inquiry>> Begin(const Command& command,
                                                const InquiryLimits& limits);
  Inquiry(Spawned spawned, const InquiryLimits& limits);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  // Take() is to be called when one of these is readable, and at the deadline.
  void Wanted(std::vector<int>& fds) const;
  Time deadline() const { return limits_.deadline; }
  pid_t pid() const { return child_->pid(); }  // REQUIRES: it runs

  // All that it has said, once: when it has ended, or is beyond a limit. Nothing before.
  std::optional<Said> Take(Time now);
  // In a copy of this process: it is not ours to end.
  void Forget();

 private:
  void TakeText();

  const InquiryLimits limits_;
  std::optional<Child> child_;
  Fd output_;
  std::string text_;
};

// An answer: known already, or what is concluded from what the program will have said.
template <typename Answer>
class Asked {
 public:
  using Conclude = std::function<Answer(Said)>;

  explicit Asked(Answer answer) : answer_(std::move(answer)) {}
  Asked(std::unique_ptr<Inquiry> inquiry, Conclude conclude)
      : inquiry_(std::move(inquiry)), conclude_(std::move(conclude)) {}

  Inquiry* inquiry() const { return inquiry_.get(); }  // none: Take() has the answer at once

  // The answer, once.
  std::optional<Answer> Take(Time now) {
    if (inquiry_ == nullptr) return std::exchange(answer_, std::nullopt);
    auto said = inquiry_->Take(now);
    if (!said) return std::nullopt;
    inquiry_.reset();
    return conclude_(std::move(*said));
  }

  // The answer that follows from this one.
  template <typename Next>
  auto Then(Next next) && {
    using Following = Asked<std::invoke_result_t<Next, Answer>>;
    if (answer_) return Following(next(std::move(*answer_)));
    CHECK(inquiry_ != nullptr);
    return Following(std::move(inquiry_),
                     [conclude = std::move(conclude_), next = std::move(next)](Said said) {
                       return next(conclude(std::move(said)));
                     });
  }

 private:
  std::optional<Answer> answer_;
  std::unique_ptr<Inquiry> inquiry_;
  Conclude conclude_;
};

// Sleeps until Take() is to be called, and gives the time.
Time AwaitWord(const Inquiry& inquiry);

// For who has nothing else to do.
template <typename Answer>
Answer WaitForAnswer(Asked<Answer> asked) {
  Time now{};
  while (true) {
    if (auto answer = asked.Take(now)) return std::move(*answer);
    now = AwaitWord(*asked.inquiry());
  }
}

}  // namespace onebox::os
