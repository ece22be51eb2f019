#pragma once
// BrokerClient: asks the broker of a running box, one question after the other.

#include <cstdint>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"

namespace onebox::main {

class BrokerClient final {
 public:
  // For an answer. A broker that is being started, or waits for its disk, takes its time.
  static constexpr Duration kPatience = std::chrono::seconds(30);

  // An Error where no box runs there, or where it has had no `what`, as "tasks", so far.
  static Result<BrokerClient> Open(const std::string& state, std::string_view what);

  // `question` has its operation as "op"; docs/internals/broker.md lists them. An Error is what the
  // broker says against it, or that it does not answer in time: then it may be done all the same.
  Result<nlohmann::json> Ask(nlohmann::json question);

 private:
  explicit BrokerClient(os::Fd socket) : socket_(std::move(socket)) {}

  Status Send(std::string_view bytes, Time deadline);
  Result<nlohmann::json> Receive(Time deadline);

  os::Fd socket_;
  std::string in_;
  std::uint64_t asked_ = 0;
};

}  // namespace onebox::main
