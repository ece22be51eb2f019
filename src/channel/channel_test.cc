// Both ends of a channel in one thread, and ends that scribble.
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/wire.h"
#include "channel/front_end.h"
#include "channel/testing.h"
#include "channel/worker_end.h"
#include "os/file.h"
#include "os/random.h"
#include "os/socket.h"

namespace onebox::channel {
namespace {

constexpr IfFull kReturn = IfFull::kReturn;

Request SomeRequest() {
  return {.method = "POST",
          .path = "/a b",
          .query = "c=d",
          .target = "/a%20b?c=d",
          .scheme = "https",
          .server_name = "box",
          .server_port = 443,
          .client_address = "10.0.0.1",
          .client_port = 65535,
          .version_minor = 0,
          .id = "abc",
          .deadline = 1'234'567'890'123,
          .cancel_disconnected = true,
          .body_place = BodyPlace::kInline,
          .body_size = 4,
          .fields = {{"Host", "box"}, {"X-Empty", ""}}};
}

std::string Encoded(const Request& request) {
  std::string out;
  EncodeRequest(out, request);
  return out;
}

std::string EncodedHead(const ResponseHead& head) {
  std::string out;
  EncodeResponseHead(out, head);
  return out;
}

TEST(Request, ComesBackAsItWas) {
  const std::string bytes = Encoded(SomeRequest()) + "body";
  const Request request = DecodeRequest(bytes).value();
  EXPECT_EQ(request.path, "/a b");
  EXPECT_EQ(request.server_port, 443);
  EXPECT_EQ(request.client_port, 65535);
  EXPECT_EQ(request.version_minor, 0);
  EXPECT_EQ(request.deadline, 1'234'567'890'123);
  EXPECT_TRUE(request.cancel_disconnected);
  EXPECT_EQ(request.body, "body");
  ASSERT_EQ(request.fields.size(), 2U);
  EXPECT_EQ(request.fields[1].name, "X-Empty");
  Request again = request;
  again.body = {};
  EXPECT_EQ(Encoded(again) + "body", bytes);
}

TEST(Request, CutAnywhereIsAnError) {
  const std::string bytes = Encoded(SomeRequest()) + "body";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    const std::string cut = bytes.substr(0, size);
    EXPECT_FALSE(DecodeRequest(cut).ok());
  }
  EXPECT_FALSE(DecodeRequest(bytes + "!").ok());
}

TEST(ResponseHead, ComesBackAsItWas) {
  const std::string bytes = EncodedHead({.status = 404,
                                         .reason = "Not Here",
                                         .content_length = 12,
                                         .fields = {{"Content-Type", "text/plain"}}});
  const ResponseHead head = DecodeResponseHead(bytes).value();
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not Here");
  EXPECT_EQ(head.content_length, 12U);
  ASSERT_EQ(head.fields.size(), 1U);
  EXPECT_EQ(head.fields[0].value, "text/plain");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    const std::string cut = bytes.substr(0, size);
    EXPECT_FALSE(DecodeResponseHead(cut).ok());
  }
  EXPECT_FALSE(DecodeResponseHead(bytes + "!").ok());
}

TEST(Hello, IsRefusedWhereItIsNotOurs) {
  const struct {
    const char* why;
    std::string bytes;
    bool ok;
  } cases[] = {
      {"as it is", Encode(Hello{.threads = 1}), true},
      {"another version", Encode(Hello{.version = kVersion + 1, .threads = 1}), false},
      {"no threads", Encode(Hello{}), false},
      {"too many threads", Encode(Hello{.threads = kThreadsMax + 1}), false},
      {"too long", Encode(Hello{.threads = 1}) + "x", false},
      {"too short", Encode(Hello{.threads = 1}).substr(0, 10), false},
      {"another message", Encode(Welcome{.slots = 1}), false},
      {"nothing", "", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(DecodeHello(c.bytes).ok(), c.ok);
  }
}

// Two ends that know each other, in one thread.
class Channel : public testing::Test {
 protected:
  Channel() {
    const auto address =
        os::SocketAddress::Parse(fmt::format("unix:@onebox-test-{:016x}", os::Random64())).value();
    const os::Fd listener = os::Listen(address, {.type = SOCK_SEQPACKET}).value();
    const Hello hello{.pid = 1, .number = 2, .threads = 2};
    os::Fd theirs = WorkerEnd::Greet(address, hello).value();
    os::Fd ours = std::move(os::Accept(listener).value()->socket);
    EXPECT_EQ(WorkerEnd::ReceiveWelcome(theirs, hello).value(), nullptr);
    const auto said = FrontEnd::ReceiveHello(ours).value();
    front_ = FrontEnd::Welcome(std::move(ours), *said).value();
    worker_ = WorkerEnd::ReceiveWelcome(theirs, hello).value();
  }

  Sent Send(std::uint32_t slot, std::string_view path) {
    return front_->Send(slot, Encoded({.path = path}), {}, nullptr);
  }
  // "/path", or "-" where nothing waits.
  std::string Take() {
    taken_ = std::move(worker_->Take()).value();
    return taken_ ? std::string(taken_->request.path) : "-";
  }
  Delivery Head(std::string_view body, End end) {
    return worker_->SendHead(taken_->ticket, EncodedHead({}), body, end, kReturn);
  }
  Delivery Body(std::string_view body, End end) {
    return worker_->SendBody(taken_->ticket, body, end, kReturn);
  }

  std::unique_ptr<FrontEnd> front_;
  std::unique_ptr<WorkerEnd> worker_;
  std::optional<WorkerEnd::Taken> taken_;
};

TEST_F(Channel, ASmallResponseIsOneFrame) {
  ASSERT_EQ(Send(0, "/a"), Sent::kSent);
  EXPECT_FALSE(front_->Taken(0));
  EXPECT_EQ(Take(), "/a");
  EXPECT_TRUE(front_->Taken(0));
  EXPECT_EQ(Head("body", End::kComplete), Delivery::kSent);
  const auto frame = std::move(*front_->Next().value());
  EXPECT_EQ(frame.kind, FrameKind::kHead);
  EXPECT_EQ(frame.slot, 0U);
  EXPECT_EQ(frame.head.status, 200);
  EXPECT_EQ(frame.body, "body");
  EXPECT_EQ(frame.end, End::kComplete);
  EXPECT_EQ(front_->free_slots(), 2U);
  front_->Release();
  EXPECT_FALSE(front_->Next().value());
}

TEST_F(Channel, ARevokedRequestIsNotTaken) {
  ASSERT_EQ(Send(0, "/revoked"), Sent::kSent);
  EXPECT_TRUE(front_->Revoke(0));
  EXPECT_EQ(front_->free_slots(), 2U);
  ASSERT_EQ(Send(0, "/next"), Sent::kSent);  // the same slot, of another generation
  EXPECT_EQ(Take(), "/next");
  EXPECT_FALSE(front_->Revoke(0));
  EXPECT_EQ(Take(), "-");
}

TEST_F(Channel, ACancelledResponseStillEnds) {
  ASSERT_EQ(Send(1, "/a"), Sent::kSent);
  EXPECT_EQ(Take(), "/a");
  EXPECT_FALSE(worker_->Cancelled(taken_->ticket));
  front_->Cancel(1, CancelReason::kDeadline);
  EXPECT_TRUE(worker_->Cancelled(taken_->ticket));
  EXPECT_EQ(worker_->ReasonOf(taken_->ticket), CancelReason::kDeadline);
  EXPECT_EQ(Head("x", End::kComplete), Delivery::kCancelled);
  EXPECT_EQ(worker_->SendEnd(taken_->ticket, End::kBrokenOff, kReturn), Delivery::kSent);
  EXPECT_EQ(front_->Next().value()->end, End::kBrokenOff);
  front_->Release();
  ASSERT_EQ(Send(1, "/b"), Sent::kSent);
  EXPECT_EQ(Take(), "/b");
  EXPECT_FALSE(worker_->Cancelled(taken_->ticket)) << "of another generation";
  front_->Cancel(1, CancelReason::kAnswering);
  EXPECT_EQ(worker_->ReasonOf(taken_->ticket), CancelReason::kAnswering);
}

TEST_F(Channel, AFullRingTakesMoreWhenItWasRead) {
  const std::string body(kInlineBodyBytesMax, 'x');
  const std::string head =
      Encoded({.path = "/", .body_place = BodyPlace::kInline, .body_size = body.size()});
  int sent = 0;
  while (front_->Send(0, head, body, nullptr) == Sent::kSent) {
    ++sent;
    ASSERT_TRUE(front_->Revoke(0));
  }
  EXPECT_EQ(sent, 3);
  EXPECT_EQ(front_->free_slots(), 2U);
  EXPECT_EQ(Take(), "-") << "all were revoked";
  EXPECT_EQ(front_->Send(0, head, body, nullptr), Sent::kSent);
  EXPECT_EQ(Take(), "/");

  std::string_view rest = body;
  EXPECT_EQ(Head("", End::kNotYet), Delivery::kSent);
  Delivery delivery = Delivery::kSent;
  for (sent = 0; delivery == Delivery::kSent; ++sent) {
    rest = body;
    delivery = worker_->SendBody(taken_->ticket, rest, End::kNotYet, kReturn);
  }
  EXPECT_EQ(delivery, Delivery::kFull);
  EXPECT_EQ(rest.size(), body.size());
  while (front_->Next().value())
    front_->Release();
  EXPECT_EQ(worker_->SendBody(taken_->ticket, rest, End::kComplete, kReturn), Delivery::kSent);
}

TEST_F(Channel, ASleeperIsWokenOnce) {
  const auto count = [](int wakeup) {
    std::uint64_t value = 0;
    return ::read(wakeup, &value, sizeof value) == sizeof value ? value : 0;
  };
  EXPECT_TRUE(worker_->PrepareToSleep());
  Send(0, "/a");
  Send(1, "/b");
  EXPECT_EQ(count(worker_->wakeup().get()), 0U) << "before the turn's end";
  front_->Flush();
  front_->Flush();
  EXPECT_EQ(count(worker_->wakeup().get()), 1U);
  EXPECT_FALSE(worker_->PrepareToSleep()) << "two requests wait";

  EXPECT_TRUE(front_->PrepareToSleep());
  EXPECT_EQ(Take(), "/a");
  Head("", End::kNotYet);
  Body("x", End::kComplete);
  EXPECT_EQ(count(front_->wakeup()), 1U);
  EXPECT_FALSE(front_->PrepareToSleep());
}

// An event loop hears by the worker's wakeup what a thread sleeps on a futex for.
TEST_F(Channel, ALoopThatCouldNotSendIsWokenWhenItCan) {
  const auto woken = [&] {
    std::uint64_t value = 0;
    return ::read(worker_->wakeup().get(), &value, sizeof value) == sizeof value;
  };
  const auto fill = [&](std::size_t size) {
    const std::string body(size, 'x');
    std::uint64_t bytes = 0;
    for (;;) {
      std::string_view rest = body;
      const Delivery sent = worker_->SendBody(taken_->ticket, rest, End::kNotYet, IfFull::kWake);
      if (sent == Delivery::kFull) return bytes;
      bytes += body.size();
    }
  };
  Send(0, "/a");
  Take();
  Head("", End::kNotYet);
  EXPECT_GT(fill(kBodyFrameBytesMax), 0U);
  EXPECT_GT(fill(1), 0U);  // to the last place, so that not even a file's frame has room
  EXPECT_FALSE(worker_->HeldBack(taken_->ticket)) << "it is the ring that is full";
  const os::Fd file = os::OpenTemporary(::testing::TempDir()).value();
  EXPECT_EQ(worker_->SendFile(taken_->ticket, file, {0, 1}, End::kNotYet, IfFull::kWake),
            Delivery::kFull);
  EXPECT_FALSE(woken());
  std::uint64_t came = 0;
  const auto read_all = [&] {
    while (auto frame = front_->Next().value()) {
      came += frame->body.size();
      front_->Release();
    }
  };
  read_all();
  EXPECT_TRUE(front_->ReadMessages().ok()) << "no file was sent without its frame";
  EXPECT_TRUE(woken());
  while (fill(kBodyFrameBytesMax) > 0)
    read_all();
  EXPECT_GE(came, kAheadBytesMax);
  EXPECT_TRUE(worker_->HeldBack(taken_->ticket));
  woken();
  front_->Acknowledge(0, came);
  EXPECT_TRUE(woken());
  EXPECT_FALSE(worker_->HeldBack(taken_->ticket));
  while (fill(kBodyFrameBytesMax) > 0)
    read_all();
  front_->Cancel(0, CancelReason::kClientLeft);
  EXPECT_TRUE(woken());
  EXPECT_FALSE(worker_->HeldBack(taken_->ticket));
}

TEST_F(Channel, TheFrontHearsThatAWorkerDrains) {
  EXPECT_TRUE(front_->PrepareToSleep());
  worker_->Drain();
  EXPECT_TRUE(front_->draining());
  std::uint64_t value = 0;
  EXPECT_EQ(::read(front_->wakeup(), &value, sizeof value), 8);
}

TEST_F(Channel, TheWorkerHearsOfEachCancelOnAWakeupOfItsOwn) {
  const auto count = [this] {
    std::uint64_t value = 0;
    return ::read(worker_->cancel_wakeup().get(), &value, sizeof value) == sizeof value ? value : 0;
  };
  Send(0, "/a");
  EXPECT_EQ(Take(), "/a");
  front_->Flush();
  EXPECT_EQ(count(), 0U);
  front_->Cancel(0, CancelReason::kDeadline);
  EXPECT_EQ(count(), 1U);
  front_->Cancel(1, CancelReason::kDeadline);
  EXPECT_EQ(count(), 0U) << "nothing runs there";
}

TEST_F(Channel, TheFrontHearsThatAWorkerIsStuck) {
  EXPECT_EQ(front_->stuck(), Stuck::kNo);
  for (const Stuck how : {Stuck::kThread, Stuck::kProcess}) {
    EXPECT_TRUE(front_->PrepareToSleep());
    worker_->ReportStuck(how);
    EXPECT_EQ(front_->stuck(), how);
    std::uint64_t value = 0;
    EXPECT_EQ(::read(front_->wakeup(), &value, sizeof value), 8);
  }
}

TEST(FrontEnd, TakesAnyWordOfAStuckWorkerForTheLesserOne) {
  ForgedWorker worker(1);
  for (const std::uint32_t word : {1U, 3U, 0xffffffffU}) {
    SCOPED_TRACE(word);
    worker.page().stuck = word;
    EXPECT_EQ(worker.front().stuck(), Stuck::kThread);
  }
}

TEST_F(Channel, AnEndThatClosesIsNoticedAndItsFramesAreRead) {
  Send(0, "/a");
  Take();
  Head("last words", End::kComplete);
  worker_.reset();
  EXPECT_FALSE(front_->ReadMessages().ok());
  EXPECT_EQ(front_->Next().value()->body, "last words");
}

TEST_F(Channel, AFrontThatClosesIsNoticed) {
  Send(0, "/a");
  Take();
  front_.reset();
  EXPECT_FALSE(worker_->ReadMessages().ok());
  worker_->Lose();
  EXPECT_TRUE(worker_->Cancelled(taken_->ticket));
  EXPECT_EQ(worker_->SendEnd(taken_->ticket, End::kComplete, kReturn), Delivery::kLost);
}

// --- ends that scribble ---------------------------------------------------------

// What a frame's bytes are made of.
std::string Frame(std::uint32_t kind,
                  std::uint32_t slot,
                  std::uint32_t generation,
                  std::uint32_t end,
                  std::string_view content = {}) {
  std::string bytes;
  Writer(bytes).Write(FrameHead{kind, slot, generation, end});
  bytes += content;
  return bytes;
}

std::string HeadOf(HeadSize size, std::string_view bytes) {
  std::string content;
  Writer(content).Write(size);
  content += bytes;
  return content;
}

std::string RangeOf(std::uint64_t offset, std::uint64_t length) {
  std::string content;
  Writer(content).Write(FileRange{offset, length});
  return content;
}

TEST(FrontEnd, RefusesWhatNoWorkerSends) {
  const std::string encoded = EncodedHead({});
  const auto size = static_cast<HeadSize>(encoded.size());
  const std::string head = Frame(2, 0, 1, 0, HeadOf(size, encoded));
  const std::string whole(kBodyFrameBytesMax, 'x');
  const std::vector<std::string> hints(kEarlyHintsMax, Frame(6, 0, 1, 0, encoded));
  const std::vector<std::string> more_hints(kEarlyHintsMax + 1, hints.front());
  const std::string misplaced = "the worker sends a frame that has no place there";
  const std::string other_size = "the worker sends a head of another size than it says";
  const std::string no_slot = "the worker answers on a slot that is not there";
  const std::string nobody = "the worker answers a request that nobody asks any more";
  const std::string no_end = "the worker ends a response in an unknown way";
  const std::string no_range = "the worker sends a range that no file has";
  const std::string range_size = "the worker sends a file's range of a wrong size";
  // The front has a request on slot 0, of generation 1. All frames but the last are taken.
  const struct {
    const char* why;
    std::vector<std::string> frames;
    std::string refused;
  } cases[] = {
      {"an end alone", {Frame(5, 0, 1, 2)}, ""},
      {"a head", {head}, ""},
      {"a head and an end", {head, Frame(5, 0, 1, 1)}, ""},
      {"a head with all the body that fits",
       {Frame(2, 0, 1, 1, HeadOf(size, encoded + whole))},
       ""},
      {"all the body that fits", {head, Frame(3, 0, 1, 1, whole)}, ""},
      {"a body of nothing", {head, Frame(3, 0, 1, 0)}, ""},
      {"nothing", {""}, no_slot},
      {"half a frame's head", {"12345678"}, no_slot},
      {"a slot that is not there", {Frame(5, 2, 1, 2)}, no_slot},
      {"a slot that is free", {Frame(5, 1, 0, 2)}, nobody},
      {"an old generation", {Frame(5, 0, 0, 2)}, nobody},
      {"a later generation", {Frame(5, 0, 2, 2)}, nobody},
      {"more behind the end", {Frame(5, 0, 1, 2), Frame(5, 0, 1, 2)}, nobody},
      {"early hints, and a head", {Frame(6, 0, 1, 0, encoded), head}, ""},
      {"early hints behind the head", {head, Frame(6, 0, 1, 0, encoded)}, misplaced},
      {"early hints that end it", {Frame(6, 0, 1, 1, encoded)}, misplaced},
      {"as many early hints as may be", hints, ""},
      {"more early hints", more_hints, "the worker sends too many early hints"},
      {"early hints above the limit",
       {Frame(6, 0, 1, 0, std::string(kEarlyHintsBytesMax + 1, 'x'))},
       "the worker sends too many early hints"},
      {"early hints of no size",
       {Frame(6, 0, 1, 0)},
       "a response's head in a channel has another size than it says"},
      {"an unknown kind", {Frame(7, 0, 1, 0)}, misplaced},
      {"no kind", {Frame(0, 0, 1, 0)}, misplaced},
      {"a request", {Frame(1, 0, 1, 0)}, misplaced},
      {"an unknown end", {Frame(5, 0, 1, 3)}, no_end},
      {"an end that is none", {Frame(5, 0, 1, 0)}, misplaced},
      {"an end with a content", {Frame(5, 0, 1, 2, "x")}, misplaced},
      {"complete without a head", {Frame(5, 0, 1, 1)}, misplaced},
      {"a body without a head", {Frame(3, 0, 1, 0, "x")}, misplaced},
      {"a file without a head", {Frame(4, 0, 1, 0, RangeOf(0, 0))}, misplaced},
      {"a second head", {head, head}, "the worker sends a second head"},
      {"a body above the limit", {head, Frame(3, 0, 1, 0, whole + "x")}, misplaced},
      {"a head with a body above the limit",
       {Frame(2, 0, 1, 0, HeadOf(size, encoded + whole + "x"))},
       other_size},
      {"a head without its size", {Frame(2, 0, 1, 0, "xyz")}, other_size},
      {"a head longer than its frame", {Frame(2, 0, 1, 0, HeadOf(size + 1, encoded))}, other_size},
      {"a head cut short",
       {Frame(2, 0, 1, 0, HeadOf(size - 1, encoded))},
       "a response's head in a channel has another size than it says"},
      {"a head of no size",
       {Frame(2, 0, 1, 0, HeadOf(0, ""))},
       "a response's head in a channel has another size than it says"},
      {"a head above the limit",
       {Frame(2, 0, 1, 0, HeadOf(kResponseHeadBytesMax + 1, ""))},
       "the worker sends too large a head"},
      {"a file's range cut short", {head, Frame(4, 0, 1, 0, RangeOf(0, 1).substr(1))}, range_size},
      {"more than a file's range", {head, Frame(4, 0, 1, 0, RangeOf(0, 1) + "x")}, range_size},
      {"an impossible offset", {head, Frame(4, 0, 1, 0, RangeOf(kFileBytesMax + 1, 0))}, no_range},
      {"an impossible length", {head, Frame(4, 0, 1, 0, RangeOf(0, kFileBytesMax + 1))}, no_range},
      {"a file that was not sent",
       {head, Frame(4, 0, 1, 0, RangeOf(0, 1))},
       "the worker names a file that it has not sent"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    ForgedWorker worker(2);
    FrontEnd& front = worker.front();
    ASSERT_EQ(front.Send(0, Encoded({.path = "/"}), {}, nullptr), Sent::kSent);
    for (std::size_t i = 0; i < c.frames.size(); ++i) {
      ASSERT_EQ(worker.Write(c.frames[i]), shm::Push::kDone);
      const auto next = front.Next();
      EXPECT_EQ(next.ok() ? "" : next.error().message, i + 1 < c.frames.size() ? "" : c.refused);
      front.Release();
    }
  }
}

TEST(WorkerEnd, RefusesWhatNoFrontSends) {
  const std::string request = Encoded({.path = "/"});
  const std::string file = Encoded({.path = "/", .body_place = BodyPlace::kFile, .body_size = 1});
  const std::string no_request = "the front sends a frame that is not a request";
  const struct {
    const char* why;
    std::string frame;
    std::string refused;
  } cases[] = {
      {"a request", Frame(1, 0, 1, 0, request), ""},
      {"a request that was revoked", Frame(1, 0, 2, 0, request), ""},
      {"nothing", "", no_request},
      {"half a frame's head", "12345678", no_request},
      {"a slot that is not there", Frame(1, 2, 1, 0, request), no_request},
      {"a head", Frame(2, 0, 1, 0, request), no_request},
      {"no request", Frame(1, 0, 1, 0), "a request in a channel is cut short"},
      {"more than a request",
       Frame(1, 0, 1, 0, request + "x"),
       "a request's body in a channel has another size than it says"},
      {"a file that was not sent",
       Frame(1, 0, 1, 0, file),
       "the front names a file that it has not sent"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    ForgedFront front(2);
    front.slot(0).word = SlotWord(1, SlotState::kOffered);
    ASSERT_EQ(front.Write(c.frame), shm::Push::kDone);
    const auto taken = front.worker().Take();
    EXPECT_EQ(taken.ok() ? "" : taken.error().message, c.refused);
  }
}

}  // namespace
}  // namespace onebox::channel
