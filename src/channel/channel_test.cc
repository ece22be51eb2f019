// Both ends of a channel in one thread, and ends that scribble.
#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/wire.h"
#include "channel/front_end.h"
#include "channel/worker_end.h"
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
      {"another version", Encode(Hello{.version = 2, .threads = 1}), false},
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
  front_->Cancel(1);
  EXPECT_TRUE(worker_->Cancelled(taken_->ticket));
  EXPECT_EQ(Head("x", End::kComplete), Delivery::kCancelled);
  EXPECT_EQ(worker_->SendEnd(taken_->ticket, End::kBrokenOff, kReturn), Delivery::kSent);
  EXPECT_EQ(front_->Next().value()->end, End::kBrokenOff);
  front_->Release();
  ASSERT_EQ(Send(1, "/b"), Sent::kSent);
  EXPECT_EQ(Take(), "/b");
  EXPECT_FALSE(worker_->Cancelled(taken_->ticket)) << "of another generation";
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

TEST_F(Channel, TheFrontHearsThatAWorkerDrains) {
  EXPECT_TRUE(front_->PrepareToSleep());
  worker_->Drain();
  EXPECT_TRUE(front_->draining());
  std::uint64_t value = 0;
  EXPECT_EQ(::read(front_->wakeup(), &value, sizeof value), 8);
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

// --- a worker that scribbles ---------------------------------------------------

// What a frame's bytes are made of; the front has slot 0 in use, of generation 1.
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

TEST_F(Channel, AFrontRefusesWhatNoWorkerSends) {
  std::string head;
  Writer(head).WriteText(EncodedHead({}));
  const struct {
    const char* why;
    std::string bytes;
    bool ok;
  } cases[] = {
      {"an end alone", Frame(5, 0, 1, 2), true},
      {"a head", Frame(2, 0, 1, 0, head), true},
      {"nothing", "", false},
      {"half a frame's head", "12345678", false},
      {"a slot that is not there", Frame(5, 2, 1, 2), false},
      {"a slot that is free", Frame(5, 1, 1, 2), false},
      {"an old generation", Frame(5, 0, 0, 2), false},
      {"an unknown kind", Frame(6, 0, 1, 0), false},
      {"a request", Frame(1, 0, 1, 0), false},
      {"an unknown end", Frame(5, 0, 1, 3), false},
      {"an end that is none", Frame(5, 0, 1, 0), false},
      {"complete without a head", Frame(5, 0, 1, 1), false},
      {"a body without a head", Frame(3, 0, 1, 0, "x"), false},
      {"a file without a head", Frame(4, 0, 1, 0, std::string(16, '\0')), false},
      {"a head longer than its frame", Frame(2, 0, 1, 0, "\xff\x00\x00\x00"), false},
      {"a head of no size", Frame(2, 0, 1, 0, std::string(4, '\0')), false},
      {"a head above the limit", Frame(2, 0, 1, 0, "\xff\xff\xff\xff"), false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    std::vector<std::byte> memory(MemoryBytes(2) + 64);
    const auto ends = FrontEndOver(c.bytes);
    EXPECT_EQ(ends, c.ok);
  }
}

}  // namespace
}  // namespace onebox::channel
