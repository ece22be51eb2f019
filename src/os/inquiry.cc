#include "os/inquiry.h"

#include <csignal>

#include "os/clock.h"
#include "os/poll.h"

namespace onebox::os {

Result<std::unique_ptr<Inquiry>> Inquiry::Begin(const Command& command,
                                                const InquiryLimits& limits) {
  return std::make_unique<Inquiry>(TRY(Spawn(command)), limits);
}

Inquiry::Inquiry(Spawned spawned, const InquiryLimits& limits)
    : limits_(limits), child_(std::move(spawned.child)), output_(std::move(spawned.output)) {}

Inquiry::~Inquiry() {
  if (child_) child_->Signal(SIGKILL);
}

void Inquiry::Wanted(std::vector<int>& fds) const {
  if (output_.valid()) fds.push_back(output_.get());
  if (child_) fds.push_back(child_->pidfd().get());
}

// Not until the end of file: a process that it started may hold the other end for ever.
std::optional<Said> Inquiry::Take(Time now) {
  const std::optional<ExitStatus> ended = child_->Reap();
  TakeText();
  if (ended) {
    child_.reset();
    return Said{Said::End::kByItself, *ended, std::move(text_)};
  }
  if (text_.size() >= limits_.text_bytes_max) {
    return Said{Said::End::kTooLong, {}, std::move(text_)};
  }
  if (now >= limits_.deadline) return Said{Said::End::kLate, {}, std::move(text_)};
  return std::nullopt;
}

// What is readable and has nothing to read is at its end: a program may close its output and run on.
void Inquiry::TakeText() {
  const int wanted[] = {output_.get()};
  while (output_.valid() && text_.size() < limits_.text_bytes_max &&
         !WaitReadable(wanted, Duration()).empty()) {
    const std::string more = ReadAvailable(output_);
    if (more.empty()) output_.Reset();
    text_ += more;
  }
}

void Inquiry::Forget() {
  child_.reset();
  output_.Reset();
}

Time AwaitWord(const Inquiry& inquiry) {
  const SystemClock clock;
  std::vector<int> wanted;
  inquiry.Wanted(wanted);
  (void)WaitReadable(wanted, inquiry.deadline() - clock.Now());
  return clock.Now();
}

}  // namespace onebox::os
