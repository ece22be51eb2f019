#pragma once
// A broker in the test's own thread, with clients and task workers that the test moves.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/wire.h"
#include "broker/broker.h"
#include "broker/client.h"
#include "channel/worker_end.h"
#include "os/socket.h"
#include "os/stream_socket.h"
#include "sqlite/testing.h"

namespace onebox::broker {

class TestBroker {
 public:
  explicit TestBroker(Settings settings = {}) : settings_(std::move(settings)) {
    settings_.folder = folder_.path();
    log_ = telemetry::Log::Open(clock_, {.role = "broker", .path = "/dev/null"}).value();
    Start(/*fresh=*/true, {});
  }

  // As if it had been killed: nothing is told to anybody. `alive`: the task workers.
  void Restart(bool fresh, std::vector<int> alive = {4711}) {
    broker_.reset();
    Start(fresh, std::move(alive));
  }

  bool Turn() { return broker_->Turn(Duration()); }
  // What it has published last.
  const std::string& metrics() const { return metrics_; }
  // Enough for whatever has been said to be done and answered.
  void Settle() {
    for (int i = 0; i < 10; ++i)
      Turn();
  }
  void Advance(Duration by) {
    clock_.Advance(by);
    Settle();
  }
  FakeClock& clock() { return clock_; }
  std::string socket_path() const { return folder_.path().string() + "/broker"; }
  std::string attach_path() const { return folder_.path().string() + "/attach"; }

  void Tell(const json& message) {
    CHECK(os::SendDescriptors(control_, message.dump(), {}).ok());
    Turn();
  }
  // All that it has told the supervisor since it was asked last.
  std::vector<json> Told() {
    std::vector<json> told;
    while (const auto message = os::ReceiveMessage(control_, 64 << 10).value()) {
      if (message->bytes.empty()) break;
      told.push_back(json::parse(message->bytes));
    }
    return told;
  }

 private:
  void Start(bool fresh, std::vector<int> alive) {
    const auto listen = [](const std::string& path, int type) {
      return os::Listen(os::SocketAddress::Parse("unix:" + path).value(), {.type = type}).value();
    };
    os::Pair control = os::NewSocketPair(SOCK_SEQPACKET).value();
    control_ = std::move(control.ours);
    broker_ = std::make_unique<Broker>(
        settings_,
        Handover{.socket = listen(socket_path(), SOCK_STREAM),
                 .attach = listen(attach_path(), SOCK_SEQPACKET),
                 .control = std::move(control.theirs),
                 .generation = 1,
                 .fresh = fresh,
                 .worker_pids = std::move(alive),
                 .publish = [this](std::string_view text) { metrics_ = text; },
                 .clock = clock_,
                 .log = *log_});
    CHECK(broker_->Open().ok());
  }

  std::string metrics_;
  sqlite::TestFolder folder_;
  FakeClock clock_;
  Settings settings_;
  std::unique_ptr<telemetry::Log> log_;
  os::Fd control_;
  std::unique_ptr<Broker> broker_;
};

// A connection to its socket.
class TestClient {
 public:
  explicit TestClient(TestBroker& broker)
      : broker_(broker),
        socket_(os::Connect(os::SocketAddress::Parse("unix:" + broker.socket_path()).value(),
                            SOCK_STREAM)
                    .value()) {
    os::SetNonBlocking(socket_);
  }

  void Send(std::string_view bytes) { CHECK(os::Send(socket_, {&bytes, 1}).bytes == bytes.size()); }
  void Say(const json& message) {
    std::string bytes;
    AppendMessage(bytes, message);
    Send(bytes);
  }
  // The next message, where there is one.
  std::optional<json> Hear() {
    broker_.Settle();
    std::array<char, 64 << 10> buffer{};
    const os::Moved moved = os::Receive(socket_, buffer);
    if (moved.state == os::Moved::State::kDone) in_.append(buffer.data(), moved.bytes);
    closed_ = moved.state == os::Moved::State::kGone ||
              (moved.state == os::Moved::State::kDone && moved.bytes == 0);
    Reader reader(in_);
    const std::string text(reader.ReadText());
    if (!reader.ok()) return std::nullopt;
    in_.erase(0, in_.size() - reader.rest().size());
    return json::parse(text);
  }
  json Ask(json message) {
    message["n"] = ++n_;
    Say(message);
    const auto answer = Hear();
    CHECK(answer.has_value());
    return *answer;
  }
  queue::TaskId Enqueue(json task) {
    if (!task.contains("name")) task["name"] = "app.f";
    const json answer = Ask({{"op", "enqueue"}, {"tasks", json::array({task})}});
    return answer["tasks"][0].at("id").get<queue::TaskId>();
  }
  json StatusOf(queue::TaskId id) { return Ask({{"op", "status"}, {"ids", {id}}})["tasks"][0]; }
  bool closed() const { return closed_; }

 private:
  TestBroker& broker_;
  os::Fd socket_;
  std::string in_;
  int n_ = 0;
  bool closed_ = false;
};

// A task worker: its channel, and its connection.
class TestWorker {
 public:
  struct Options {
    std::uint32_t number = 3;
    std::int32_t pid = 4711;
    std::uint32_t threads = 1;
    json held = json::array();
  };
  TestWorker(TestBroker& broker, const Options& options) : broker_(broker), client(broker) {
    const channel::Hello hello{
        .pid = options.pid, .number = options.number, .threads = options.threads};
    os::Fd socket = channel::WorkerEnd::Greet(
                        os::SocketAddress::Parse("unix:" + broker.attach_path()).value(), hello)
                        .value();
    while (end_ == nullptr) {
      broker_.Turn();
      end_ = channel::WorkerEnd::ReceiveWelcome(socket, hello).value();
    }
    greeting = client.Ask({{"op", "hello"},
                           {"worker", options.number},
                           {"pid", options.pid},
                           {"generation", 1},
                           {"held", options.held}});
  }

  // A task that has come, where one has.
  std::optional<json> Take() {
    broker_.Settle();
    auto taken = end_->Take().value();
    if (!taken) return std::nullopt;
    json task = json::parse(taken->request.body);
    tickets_.emplace_back(task["id"].get<queue::TaskId>(), taken->ticket);
    return task;
  }
  bool Interrupted(queue::TaskId id) { return end_->Cancelled(TicketOf(id)); }
  // Its thread is free again.
  void Return(queue::TaskId id) {
    end_->SendEnd(TicketOf(id), channel::End::kComplete, channel::IfFull::kReturn);
    broker_.Settle();
  }
  json Report(const json& task, json outcome) {
    outcome["id"] = task["id"];
    outcome["token"] = task["token"];
    return client.Ask(std::move(outcome));
  }

 private:
  channel::Ticket& TicketOf(queue::TaskId id) {
    for (auto& [one, ticket] : tickets_) {
      if (one == id) return ticket;
    }
    CHECK(false);
  }

  TestBroker& broker_;
  std::unique_ptr<channel::WorkerEnd> end_;
  std::vector<std::pair<queue::TaskId, channel::Ticket>> tickets_;

 public:
  TestClient client;
  json greeting;
};

}  // namespace onebox::broker
