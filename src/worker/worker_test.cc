// A C++ app behind a Worker, and FrontEnds before it: in one process with threads, and in two.
#include "worker/worker.h"

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/front_end.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"

namespace onebox::worker {
namespace {

using channel::FrontEnd;
using channel::ResponseFrame;
using channel::Sent;

// The front's end of one reactor, driven by the test's thread.
class Front {
 public:
  explicit Front(const std::string& attach, std::uint32_t reactor = 0)
      : listener_(
            os::Listen(os::SocketAddress::Parse(fmt::format("unix:{}.{}", attach, reactor)).value(),
                       {.type = SOCK_SEQPACKET})
                .value()) {}

  // Waits for a worker and greets it.
  void Accept() {
    os::ReadySet ready = os::ReadySet::New().value();
    EXPECT_TRUE(ready.Add(listener_, 0).ok());
    std::optional<os::Accepted> accepted;
    while (!(accepted = os::Accept(listener_).value()))
      ready.Wait(std::nullopt);
    EXPECT_TRUE(ready.Add(accepted->socket, 1).ok());
    std::optional<channel::Hello> hello;
    while (!(hello = FrontEnd::ReceiveHello(accepted->socket).value()))
      ready.Wait(std::nullopt);
    end_ = FrontEnd::Welcome(std::move(accepted->socket), *hello).value();
    ready_.emplace(os::ReadySet::New().value());
    for (const int number : {end_->socket(), end_->wakeup()}) {
      watched_.emplace_back(::dup(number));
      EXPECT_TRUE(ready_->Add(watched_.back(), 0).ok());
    }
  }

  FrontEnd& end() { return *end_; }
  void Leave() {
    ready_.reset();
    watched_.clear();
    end_.reset();
  }

  Sent Send(std::uint32_t slot, const std::string& path, const std::string& body = "") {
    std::string head;
    channel::EncodeRequest(
        head,
        {.method = "POST",
         .path = path,
         .body_place = body.empty() ? channel::BodyPlace::kNone : channel::BodyPlace::kInline,
         .body_size = body.size(),
         .fields = {{"X-A", "b"}}});
    return end_->Send(slot, head, body, nullptr);
  }
  Sent SendFile(std::uint32_t slot, const std::string& path, const os::Fd& file) {
    std::string head;
    channel::EncodeRequest(
        head,
        {.method = "POST", .path = path, .body_place = channel::BodyPlace::kFile, .body_size = 1});
    return end_->Send(slot, head, {}, &file);
  }

  // Waits for a frame; the caller releases it. Fails where the worker goes.
  Result<ResponseFrame> Next() {
    end_->Flush();
    for (;;) {
      auto next = TRY(end_->Next());
      if (next) return std::move(*next);
      TRY(end_->ReadMessages());
      if (end_->PrepareToSleep()) ready_->Wait(std::nullopt);
    }
  }

  End ReadToTheEnd() {
    End end = End::kNotYet;
    while (end == End::kNotYet) {
      end = Next().value().end;
      end_->Release();
    }
    return end;
  }
  // The whole response as "status body end", acknowledged as it comes.
  std::string Response() {
    std::string text;
    for (;;) {
      auto next = Next();
      if (!next.ok()) return text + " !";
      const ResponseFrame& frame = next.value();
      if (frame.kind == channel::FrameKind::kHead) text += fmt::format("{} ", frame.head.status);
      if (frame.kind == channel::FrameKind::kEarlyHints) {
        text += fmt::format("[{}] ", frame.head.fields.at(0).value);
      }
      text += frame.body;
      if (frame.file.valid()) {
        text += os::ReadAt(frame.file, frame.length, frame.offset).value();
      }
      end_->Acknowledge(frame.slot, frame.body.size() + frame.length);
      const End end = frame.end;
      end_->Release();
      if (end != End::kNotYet) return text + (end == End::kComplete ? " ok" : " broken");
    }
  }

 private:
  os::Fd listener_;
  std::unique_ptr<FrontEnd> end_;
  std::optional<os::ReadySet> ready_;
  std::vector<os::Fd> watched_;
};

std::string NewName() {
  return fmt::format("@onebox-test-{:016x}", os::Random64());
}

void Answer(TakenRequest& taken, std::string_view body, End end = End::kComplete) {
  std::string head;
  channel::EncodeResponseHead(head, {});
  if (taken.SendHead(head, body, end, IfFull::kWait) != Delivery::kSent) return;
  taken.SendBody(body, end, IfFull::kWait);
}

// What the C++ app does is the path's business.
void RunApp(TakenRequest taken) {
  const channel::Request& request = taken.request();
  if (request.path == "/echo") return Answer(taken, request.body);
  if (request.path == "/hinted") {
    std::string hints;
    channel::EncodeResponseHead(hints, {.status = 103, .fields = {{"Link", "</a.css>"}}});
    taken.SendEarlyHints(hints, IfFull::kWait);
    return Answer(taken, "hinted");
  }
  if (request.path == "/large") return Answer(taken, std::string(5'000'000, 'x'));
  if (request.path == "/file") {
    std::string_view none;
    std::string head;
    channel::EncodeResponseHead(head, {});
    taken.SendHead(head, none, End::kNotYet, IfFull::kWait);
    const os::Fd file = taken.TakeBodyFile();
    taken.SendFile(file, {1, 3}, End::kComplete, IfFull::kWait);
    return;
  }
  if (request.path == "/endless") {
    std::string_view none;
    std::string head;
    channel::EncodeResponseHead(head, {});
    taken.SendHead(head, none, End::kNotYet, IfFull::kWait);
    const std::string part(50'000, 'e');
    for (Delivery sent = Delivery::kSent; sent == Delivery::kSent;) {
      std::string_view rest = part;
      sent = taken.SendBody(rest, End::kNotYet, IfFull::kWait);
    }
    return;  // the destructor breaks it off
  }
  // Anything else: not answered.
}

// Threads that run the app until the worker is drained.
class App {
 public:
  App(const std::string& attach, std::uint32_t threads, std::uint32_t reactors = 1)
      : worker_(Worker::New({attach, reactors, 7, threads}, clock_).value()) {
    for (std::uint32_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        while (auto taken = worker_->Next())
          RunApp(std::move(*taken));
      });
    }
  }
  ~App() { Join(); }
  void Join() {
    worker_->Drain();
    for (std::thread& thread : threads_)
      thread.join();
    threads_.clear();
  }
  Worker& worker() { return *worker_; }

 private:
  os::SystemClock clock_;
  std::unique_ptr<Worker> worker_;
  std::vector<std::thread> threads_;
};

TEST(Worker, SaysWhoItIs) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 3);
  front.Accept();
  EXPECT_EQ(front.end().worker_number(), 7U);
  EXPECT_EQ(front.end().pid(), ::getpid());
  EXPECT_EQ(front.end().slots(), 3U);
  EXPECT_EQ(front.end().free_slots(), 3U);
  EXPECT_FALSE(front.end().draining());
}

TEST(Worker, AnswersRequestsOfEverySize) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 2);
  front.Accept();
  for (const std::size_t size : {0U, 1U, 1000U, 65536U, 8U, 65535U, 30'000U}) {
    SCOPED_TRACE(size);
    const std::string body(size, 'b');
    ASSERT_EQ(front.Send(0, "/echo", body), Sent::kSent);
    EXPECT_EQ(front.end().free_slots(), 1U);
    EXPECT_EQ(front.Response(), "200 " + body + " ok");
    EXPECT_EQ(front.end().free_slots(), 2U);
  }
}

TEST(Worker, SendsEarlyHintsBeforeItsHead) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 1);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/hinted", ""), Sent::kSent);
  EXPECT_EQ(front.Response(), "[</a.css>] 200 hinted ok");
}

TEST(Worker, CarriesManyRequestsWithoutLosingAWakeup) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 3);
  front.Accept();
  for (int turn = 0; turn < 2000; ++turn) {
    const int count = 1 + turn % 3;
    for (int i = 0; i < count; ++i)
      ASSERT_EQ(front.Send(*front.end().FreeSlot(), "/echo", "x"), Sent::kSent);
    for (int i = 0; i < count; ++i)
      ASSERT_EQ(front.Response(), "200 x ok");
  }
}

TEST(Worker, ServesEveryReactor) {
  const std::string name = NewName();
  Front zero(name, 0), one(name, 1);
  App app(name, 2, 2);
  zero.Accept();
  one.Accept();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(zero.Send(0, "/echo", "0"), Sent::kSent);
    ASSERT_EQ(one.Send(0, "/echo", "1"), Sent::kSent);
    ASSERT_EQ(zero.Response(), "200 0 ok");
    ASSERT_EQ(one.Response(), "200 1 ok");
  }
}

TEST(Worker, PassesFilesBothWays) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 1);
  front.Accept();
  const os::Fd file = os::OpenTemporary(::testing::TempDir()).value();
  ASSERT_TRUE(os::WriteAt(file, "01234", 0).ok());
  ASSERT_EQ(front.SendFile(0, "/file", file), Sent::kSent);
  EXPECT_EQ(front.Response(), "200 123 ok");
}

TEST(Worker, SendsALargeResponseAsItIsAcknowledged) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 1);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/large"), Sent::kSent);
  EXPECT_EQ(front.Response(), "200 " + std::string(5'000'000, 'x') + " ok");
}

TEST(Worker, WaitsForTheFrontAtOneMebibyteAhead) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 1);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/endless"), Sent::kSent);
  std::uint64_t came = 0;
  while (came < channel::kAheadBytesMax) {
    came += front.Next().value().body.size();
    front.end().Release();
  }
  EXPECT_LE(came, channel::kAheadBytesMax + channel::kBodyFrameBytesMax);
  EXPECT_FALSE(front.end().Next().value()) << "nothing was acknowledged";
  front.end().Acknowledge(0, 200'000);
  EXPECT_EQ(front.Next().value().body.size(), 50'000U);
  front.end().Release();
  front.end().Cancel(0, channel::CancelReason::kClientLeft);
  EXPECT_EQ(front.ReadToTheEnd(), End::kBrokenOff);
  ASSERT_EQ(front.Send(0, "/echo", "next"), Sent::kSent);
  EXPECT_EQ(front.Response(), "200 next ok");
}

// In one thread, which is the front's too: nothing here may wait for the other side.
TEST(Worker, ServesAnEventLoopWithoutSleeping) {
  const std::string name = NewName();
  const os::SystemClock clock;
  const auto worker = Worker::New({name, 1, 7, 2}, clock).value();
  pollfd watched{worker->descriptor(), POLLIN, 0};
  EXPECT_TRUE(worker->Attend()) << "there is no front: it is to be looked for again";
  for (int fronts = 0; fronts < 2; ++fronts) {
    std::optional<Front> front(std::in_place, name);
    std::optional<Duration> again = Duration::zero();
    while (again) {  // until it has greeted
      ::poll(&watched, 1, 1);
      again = worker->Attend();
    }
    front->Accept();
    ASSERT_EQ(::poll(&watched, 1, 10'000), 1);
    EXPECT_FALSE(worker->Attend());
    EXPECT_EQ(::poll(&watched, 1, 0), 0) << "what was read is ready no more";
    EXPECT_TRUE(worker->MayWait());

    ASSERT_EQ(front->Send(0, "/echo", "0"), Sent::kSent);
    front->end().Flush();
    ASSERT_EQ(::poll(&watched, 1, 10'000), 1);
    EXPECT_FALSE(worker->Attend());
    auto taken = worker->TryNext();
    ASSERT_TRUE(taken);
    ASSERT_EQ(front->Send(1, "/echo", "1"), Sent::kSent);
    EXPECT_FALSE(worker->MayWait()) << "another has come";
    auto other = worker->TryNext();
    ASSERT_TRUE(other);
    EXPECT_FALSE(worker->TryNext());
    EXPECT_TRUE(worker->MayWait());
    RunApp(std::move(*taken));
    EXPECT_EQ(front->Response(), "200 0 ok");
    EXPECT_FALSE(other->Cancelled());
    front.reset();
    ASSERT_EQ(::poll(&watched, 1, 10'000), 1);
    EXPECT_TRUE(worker->Attend()) << "the front has gone";
    EXPECT_TRUE(other->Cancelled());
  }
  EXPECT_FALSE(worker->draining());
  worker->Drain();
  EXPECT_TRUE(worker->draining());
  EXPECT_EQ(::poll(&watched, 1, 0), 1) << "the loop is to hear of it";
}

TEST(Worker, BreaksOffWhatAnAppDoesNotAnswer) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 1);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/forgotten"), Sent::kSent);
  EXPECT_EQ(front.Response(), " broken");
}

TEST(Worker, FinishesWhatItHasWhenDrained) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 2);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/endless"), Sent::kSent);
  EXPECT_EQ(front.Next().value().head.status, 200);
  front.end().Release();
  app.worker().Drain();
  EXPECT_TRUE(front.end().draining());
  front.end().Cancel(0, channel::CancelReason::kClientLeft);
  EXPECT_EQ(front.ReadToTheEnd(), End::kBrokenOff);
  app.Join();
}

TEST(Worker, LooksForANewFrontWhenItsFrontIsGone) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 2);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/endless"), Sent::kSent);
  EXPECT_EQ(front.Next().value().head.status, 200);
  front.Leave();
  front.Accept();
  ASSERT_EQ(front.Send(0, "/echo", "again"), Sent::kSent);
  ASSERT_EQ(front.Send(1, "/echo", "again"), Sent::kSent);
  EXPECT_EQ(front.Response(), "200 again ok");
  EXPECT_EQ(front.Response(), "200 again ok");
}

TEST(Worker, GivesWhatWasSentBeforeItWasDrainedAndThenNothing) {
  const std::string name = NewName();
  Front front(name);
  const os::SystemClock clock;
  const auto worker = Worker::New({name, 1, 7, 3}, clock).value();
  std::thread before([&front] {
    front.Accept();
    ASSERT_EQ(front.Send(0, "/echo", "0"), Sent::kSent);
    front.end().Flush();
  });
  RunApp(*worker->Next());
  before.join();
  EXPECT_EQ(front.Response(), "200 0 ok");

  ASSERT_EQ(front.Send(0, "/echo", "1"), Sent::kSent);
  ASSERT_EQ(front.Send(1, "/echo", "2"), Sent::kSent);
  worker->Drain();
  for (const char* body : {"200 1 ok", "200 2 ok"}) {
    auto taken = worker->Next();
    ASSERT_TRUE(taken);
    RunApp(std::move(*taken));
    EXPECT_EQ(front.Response(), body);
  }
  EXPECT_FALSE(worker->Next());
  EXPECT_TRUE(front.end().draining());
  ASSERT_EQ(front.Send(2, "/late"), Sent::kSent);
  EXPECT_TRUE(front.end().Revoke(2)) << "who sends to a drained worker gets it back";
}

// Nobody watches the socket where the only thread waits for the front itself.
TEST(Worker, NoticesThatItsFrontIsGoneWhileItsOnlyThreadWaits) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 1);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/endless"), Sent::kSent);
  for (std::uint64_t came = 0; came < channel::kAheadBytesMax;) {
    came += front.Next().value().body.size();
    front.end().Release();
  }
  front.Leave();
  front.Accept();
  ASSERT_EQ(front.Send(0, "/echo", "again"), Sent::kSent);
  EXPECT_EQ(front.Response(), "200 again ok");
}

TEST(Worker, ServesTheNextFrontWhenItsFrontIsKilled) {
  const std::string name = NewName();
  Front front(name);
  const os::Pair pair = os::NewSocketPair(SOCK_SEQPACKET).value();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    front.Accept();
    const bool sent = front.Send(0, "/endless") == Sent::kSent && front.Next().ok();
    const char said = sent ? 'y' : 'n';
    CHECK(::write(pair.theirs.get(), &said, 1) == 1);
    for (;;)
      ::pause();
  }
  App app(name, 2);  // one thread will wait for the front's space, the other for a request
  while (!os::ReceiveMessage(pair.ours, 1).value())
    std::this_thread::yield();
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  front.Accept();
  for (const std::uint32_t slot : {0U, 1U})
    ASSERT_EQ(front.Send(slot, "/echo", "again"), Sent::kSent);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(front.Response(), "200 again ok");
}

TEST(Worker, ARequestIsEitherRevokedOrRun) {
  const std::string name = NewName();
  Front front(name);
  App app(name, 2);
  front.Accept();
  for (int round = 0; round < 2000; ++round) {
    const std::string body = fmt::format("{}", round);
    ASSERT_EQ(front.Send(*front.end().FreeSlot(), "/echo", body), Sent::kSent);
    if (round % 3 != 0) front.end().Flush();
    for (int i = 0; i < round % 50; ++i)
      std::this_thread::yield();
    if (front.end().Revoke(0)) continue;
    ASSERT_EQ(front.Response(), "200 " + body + " ok") << "and nothing of those revoked";
  }
  EXPECT_EQ(front.end().free_slots(), 2U);
}

// A process with one thread that runs the app until it is killed, as the first or the next worker.
pid_t NewWorkerProcess(const std::string& attach) {
  const pid_t child = ::fork();
  EXPECT_GE(child, 0);
  if (child != 0) return child;
  const os::SystemClock clock;
  const auto worker = Worker::New({attach, 1, 0, 1}, clock).value();
  for (;;)
    RunApp(*worker->Next());
}

void Kill(pid_t child) {
  EXPECT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST(Worker, KilledInTheMiddleOfAResponseLeavesWholeFrames) {
  const std::string name = NewName();
  Front front(name);
  for (int round = 0; round < 10; ++round) {
    SCOPED_TRACE(round);
    const pid_t child = NewWorkerProcess(name);
    front.Accept();
    ASSERT_EQ(front.Send(0, "/endless"), Sent::kSent);
    std::uint64_t came = 0;
    for (auto next = front.Next(); next.ok(); next = front.Next()) {
      const std::string_view body = next.value().body;
      EXPECT_EQ(body.find_first_not_of('e'), std::string_view::npos);
      EXPECT_TRUE(body.empty() || body.size() == 50'000U);
      EXPECT_EQ(next.value().end, End::kNotYet);
      front.end().Acknowledge(0, body.size());
      front.end().Release();
      const bool enough = came < 1'000'000 && came + body.size() >= 1'000'000;
      came += body.size();
      if (enough) Kill(child);
    }
    EXPECT_GE(came, 1'000'000U);
    EXPECT_TRUE(front.end().Taken(0)) << "it has begun: not everything may be tried again";
    front.Leave();
  }
}

TEST(Worker, ThatIsStoppedLetsItsRequestsBeTakenBack) {
  const std::string name = NewName();
  Front front(name);
  const pid_t child = NewWorkerProcess(name);
  front.Accept();
  ASSERT_EQ(front.Send(0, "/echo", "first"), Sent::kSent);
  EXPECT_EQ(front.Response(), "200 first ok");
  ASSERT_EQ(::kill(child, SIGSTOP), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  ASSERT_EQ(front.Send(0, "/echo", "for another"), Sent::kSent);
  front.end().Flush();
  EXPECT_FALSE(front.end().Taken(0));
  EXPECT_TRUE(front.end().Revoke(0));
  ASSERT_EQ(front.Send(0, "/echo", "last"), Sent::kSent);
  ASSERT_EQ(::kill(child, SIGCONT), 0);
  EXPECT_EQ(front.Response(), "200 last ok");
  Kill(child);
}

TEST(Worker, InAProcessOfItsOwnIsMissedWhenItDies) {
  const std::string name = NewName();
  Front front(name);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    os::SystemClock clock;
    const auto worker = Worker::New({name, 1, 0, 1}, clock).value();
    for (int i = 0; i < 2; ++i)
      RunApp(*worker->Next());
    auto last = worker->Next();
    ::_exit(0);
  }
  front.Accept();
  EXPECT_EQ(front.end().pid(), child);
  for (const char* body : {"one", "two"}) {
    ASSERT_EQ(front.Send(0, "/echo", body), Sent::kSent);
    EXPECT_EQ(front.Response(), std::string("200 ") + body + " ok");
  }
  ASSERT_EQ(front.Send(0, "/echo", "three"), Sent::kSent);
  EXPECT_FALSE(front.Next().ok());
  EXPECT_TRUE(front.end().Taken(0));
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

}  // namespace
}  // namespace onebox::worker
