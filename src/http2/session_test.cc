#include "http2/session.h"

#include <gtest/gtest.h>

#include "http2/testing.h"

namespace onebox::http2 {
namespace {

// Each of these runs with the bytes of both sides whole, and cut at each byte.
class InPieces : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Session, InPieces, testing::Values(SIZE_MAX, 1, 7));

TEST_P(InPieces, AnswersARequest) {
  Served served;
  Client client;
  const StreamId id = client.Get("/1000?q");
  client.Talk(served, GetParam());
  const Client::Answer& answer = client.answer(id);
  EXPECT_EQ(served.site.visit(id).head, "GET /1000?q HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_EQ(answer.Value(":status"), "200");
  EXPECT_EQ(answer.Value("content-type"), "text/plain");
  EXPECT_EQ(answer.Value("content-length"), "1000");
  EXPECT_EQ(answer.Value("connection"), "");  // it has none in HTTP/2
  EXPECT_EQ(answer.body, std::string(1000, 'x'));
  EXPECT_TRUE(answer.ended);
  EXPECT_TRUE(served.site.visit(id).closed);
}

TEST_P(InPieces, TakesLargeBodiesThroughItsWindows) {
  Served served;
  Client client;
  const std::string body(300'000, 'b');  // more than a stream's window
  const StreamId known = client.Post("/0", body, {{"content-length", "300000"}});
  const StreamId unknown = client.Post("/0", body);
  client.Talk(served, GetParam());
  for (const StreamId id : {known, unknown}) {
    EXPECT_EQ(served.site.visit(id).body, body);
    EXPECT_TRUE(served.site.visit(id).ended);
    EXPECT_EQ(client.answer(id).Value(":status"), "200");
  }
}

TEST_P(InPieces, SendsLargeBodiesThroughTheClientsWindows) {
  Served served;
  Client client;
  const StreamId first = client.Get("/200000");
  const StreamId second = client.Get("/200000");
  client.Talk(served, GetParam());
  EXPECT_EQ(client.answer(first).body.size(), 200'000U);
  EXPECT_EQ(client.answer(second).body.size(), 200'000U);
}

TEST(Session, AHundredStreamsAtOnce) {
  Served served;
  Client client;
  std::vector<StreamId> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(client.Get("/" + std::to_string(i * 100)));
  client.Talk(served);
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(client.answer(ids[i]).body.size(), i * 100);
}

// The frames of DATA that the session made, by their stream.
std::vector<StreamId> DataOrder(const std::string& sent) {
  std::vector<StreamId> order;
  for (std::size_t at = 0; at + 9 <= sent.size();) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(sent[at + i]); };
    const std::size_t size = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
    if (byte(3) == NGHTTP2_DATA) order.push_back(byte(8));
    at += 9 + size;
  }
  return order;
}

// All that the client has to say, before anything is fetched.
void Hear(Served& served, Client& client) {
  const std::uint8_t* bytes = nullptr;
  for (ssize_t size = 0; (size = nghttp2_session_mem_send(client.raw(), &bytes)) > 0;) {
    served.session.Receive({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)},
                           served.now);
  }
}

// A client that takes as much as there is.
void Widen(Client& client) {
  nghttp2_session_set_local_window_size(client.raw(), 0, 0, 10'000'000);
}
const std::vector<nghttp2_settings_entry> kWide = {
    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10'000'000}};

TEST(Session, NoStreamWaitsForAnothersEnd) {
  Served served;
  Client client(kWide);
  Widen(client);
  const StreamId large = client.Get("/1000000");
  const StreamId small = client.Get("/40000");
  Hear(served, client);
  client.Talk(served);
  const std::vector<StreamId> order = DataOrder(served.sent);
  const auto last_small = std::find(order.rbegin(), order.rend(), small);
  ASSERT_NE(last_small, order.rend());
  EXPECT_LE(std::count(order.begin(), last_small.base(), large), 4);
  EXPECT_EQ(order.back(), large);
}

TEST(Session, TheMoreUrgentGoesFirst) {
  Served served;
  Client client(kWide);
  Widen(client);
  const StreamId later = client.Get("/100000");
  const StreamId sooner = client.Ask({{":method", "GET"},
                                      {":scheme", "http"},
                                      {":authority", "a"},
                                      {":path", "/100000"},
                                      {"priority", "u=1"}});
  Hear(served, client);
  client.Talk(served);
  const std::vector<StreamId> order = DataOrder(served.sent);
  ASSERT_FALSE(order.empty());
  EXPECT_EQ(order.front(), sooner);
  EXPECT_EQ(order.back(), later);
}

TEST(Session, GivesNoMoreThanIsFetched) {
  Served served;
  Client client(kWide);
  Widen(client);
  client.Get("/5000000");
  Hear(served, client);
  std::string out;
  served.session.Produce(out, 50'000);
  EXPECT_GE(out.size(), 50'000U);
  EXPECT_LE(out.size(), 50'000U + 16'384 + 9);
  EXPECT_TRUE(served.session.HasOutput());
}

TEST(Session, AStreamThatIsNotReadFromStopsAndKeepsNobodyElse) {
  Served served;
  served.site.holds = true;
  Client client;
  const std::string body(600'000, 'b');  // more than its window and less than all that is shared
  const StreamId held = client.Post("/0", body);
  Hear(served, client);
  Site::Visit& visit = served.site.visit(held);
  Session::HoldWindow(visit);
  const std::size_t before = visit.body.size();
  client.Talk(served);
  EXPECT_LE(visit.body.size(), before + Settings().stream_window);
  EXPECT_LT(visit.body.size(), body.size());
  const StreamId other = client.Post("/0", std::string(900'000, 'c'));
  client.Talk(served);
  EXPECT_TRUE(served.site.visit(other).ended);
  for (std::size_t taken = before; !visit.ended;) {
    ASSERT_LT(taken, visit.body.size());
    served.session.Consume(held, visit.body.size() - taken);
    taken = visit.body.size();
    client.Talk(served);
  }
  EXPECT_EQ(visit.body, body);
}

TEST(Session, OffersWebSocketsWhereItIsTold) {
  for (const bool offers : {false, true}) {
    Served served({.offers_websockets = offers});
    Client client;
    client.Talk(served);
    EXPECT_EQ(
        nghttp2_session_get_remote_settings(client.raw(), NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL),
        offers ? 1U : 0U);
  }
}

TEST(Session, AStreamWithoutAWindowKeepsNobodyElse) {
  Served served;
  Client client({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}});
  const StreamId stuck = client.Get("/1000");
  client.Talk(served);
  EXPECT_EQ(client.answer(stuck).body, "");
  EXPECT_FALSE(served.site.visit(stuck).closed);
  const StreamId empty = client.Get("/0");
  client.Talk(served);
  EXPECT_TRUE(client.answer(empty).ended);
  nghttp2_submit_window_update(client.raw(), 0, stuck, 5000);
  client.Talk(served);
  EXPECT_EQ(client.answer(stuck).body.size(), 1000U);
}

TEST(Session, WaitsForABodyThatIsNotThereYet) {
  Served served;
  served.site.holds = true;
  Client client;
  const StreamId id = client.Get("/100");
  client.Talk(served);
  served.site.holds = false;
  Site::Visit& visit = served.site.visit(id);
  visit.waits = true;
  visit.Answer();
  client.Talk(served);
  EXPECT_EQ(client.answer(id).Value(":status"), "200");
  EXPECT_EQ(client.answer(id).body, "");
  visit.waits = false;
  served.session.Resume(id);
  client.Talk(served);
  EXPECT_EQ(client.answer(id).body.size(), 100U);
}

TEST(Session, ResetsAnAnswerThatCannotBeCompleted) {
  Served served;
  served.site.holds = true;
  Client client;
  const StreamId id = client.Get("/100");
  client.Talk(served);
  served.site.holds = false;
  served.site.visit(id).breaks = true;
  served.site.visit(id).Answer();
  client.Talk(served);
  EXPECT_EQ(client.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
  EXPECT_TRUE(served.site.visit(id).closed);
  const StreamId next = client.Get("/5");
  client.Talk(served);
  EXPECT_EQ(client.answer(next).body.size(), 5U);
}

TEST(Session, SaysWhatIsInterimBeforeTheAnswer) {
  Served served;
  served.site.holds = true;
  Client client;
  const StreamId id = client.Get("/0");
  client.Talk(served);
  served.session.SendInterim(id, 103, "Link: </a.css>; rel=preload\r\n");
  served.site.holds = false;
  served.site.visit(id).Answer();
  client.Talk(served);
  const auto& fields = client.answer(id).fields;
  ASSERT_GE(fields.size(), 3U);
  EXPECT_EQ(fields[0].second, "103");
  EXPECT_EQ(fields[1].second, "</a.css>; rel=preload");
  EXPECT_EQ(fields[2].second, "200");
  EXPECT_TRUE(client.answer(id).ended);
}

TEST(Session, TellsTheClientToSendNoMoreWhenTheAnswerIsWhole) {
  Served served;
  Client client;
  const StreamId id = client.Post("/0", std::string(500'000, 'b'), {{"content-length", "500000"}});
  const std::uint8_t* bytes = nullptr;
  // The head and a part of the body.
  for (int frames = 0; frames < 4; ++frames) {
    const ssize_t size = nghttp2_session_mem_send(client.raw(), &bytes);
    served.Feed({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  }
  Session::IgnoreBody(served.site.visit(id));
  served.site.visit(id).Answer();
  client.Talk(served);
  EXPECT_EQ(client.answer(id).Value(":status"), "200");
  EXPECT_TRUE(client.answer(id).ended);
  EXPECT_EQ(client.answer(id).reset, NGHTTP2_NO_ERROR);
  EXPECT_LT(served.site.visit(id).body.size(), 500'000U);
}

TEST(Session, TellsOfAClientThatGaveItUp) {
  Served served;
  served.site.holds = true;
  Client client;
  const StreamId id = client.Get("/0");
  client.Talk(served);
  client.Reset(id);
  client.Talk(served);
  EXPECT_TRUE(served.site.visit(id).closed);
  served.session.SendHead(id, {.status = 200});  // too late, and no harm
  served.session.Reset(id, ErrorCode::kCancel);
  client.Talk(served);
  EXPECT_FALSE(client.answer(id).ended);
  EXPECT_FALSE(served.session.finished());
}

TEST(Session, AnswersAHeadThatIsRefused) {
  Served served;
  Client client;
  const StreamId id = client.Ask({{":method", "GET"},
                                  {":scheme", "http"},
                                  {":authority", "a"},
                                  {":path", "/"},
                                  {"connection", "close"}},
                                 "a body");
  const StreamId next = client.Get("/0");
  client.Talk(served);
  EXPECT_EQ(served.site.visit(id).refused, http::RefusalKind::kConnectionField);
  EXPECT_EQ(served.site.visit(id).body, "");
  EXPECT_EQ(client.answer(id).Value(":status"), "400");
  EXPECT_EQ(client.answer(next).Value(":status"), "200");
}

struct BrokenBody {
  const char* why;
  std::string length;
  std::string frames;
  http::RefusalKind kind;
};

TEST(Session, RefusesABodyThatIsNotWhatWasAnnounced) {
  const std::vector<BrokenBody> cases = {
      {"longer", "3", Frame(NGHTTP2_DATA, 1, 1, "abcd"), http::RefusalKind::kBodyLength},
      {"longer, in pieces",
       "3",
       Frame(NGHTTP2_DATA, 0, 1, "ab") + Frame(NGHTTP2_DATA, 0, 1, "cd"),
       http::RefusalKind::kBodyLength},
      {"shorter", "3", Frame(NGHTTP2_DATA, 1, 1, "ab"), http::RefusalKind::kBodyLength},
      {"shorter, ended by trailers",
       "3",
       Frame(NGHTTP2_HEADERS, 5, 1, Literal("x", "y")),
       http::RefusalKind::kBodyLength},
      {"nothing where something was",
       "0",
       Frame(NGHTTP2_DATA, 1, 1, "a"),
       http::RefusalKind::kBodyLength},
      {"trailers that do not end it",
       "",
       Frame(NGHTTP2_HEADERS, 4, 1, Literal("x", "y")),
       http::RefusalKind::kBadTrailer},
      {"a pseudo-header in the trailers",
       "",
       Frame(NGHTTP2_HEADERS, 5, 1, Literal(":path", "/")),
       http::RefusalKind::kPseudoField},
  };
  for (const BrokenBody& one : cases) {
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}}) {
      SCOPED_TRACE(one.why);
      Served served;
      std::string block = Literal(":method", "POST") + Literal(":scheme", "http") +
                          Literal(":authority", "a") + Literal(":path", "/0");
      if (!one.length.empty()) block += Literal("content-length", one.length);
      served.Feed(Opening() + Frame(NGHTTP2_HEADERS, 4, 1, block) + one.frames, piece);
      EXPECT_EQ(served.site.visit(1).refused, one.kind);
      EXPECT_FALSE(served.site.visit(1).ended);
      EXPECT_FALSE(served.session.finished());
    }
  }
}

TEST(Session, DropsTrailersThatAreRight) {
  Served served;
  const std::string block = Literal(":method", "POST") + Literal(":scheme", "http") +
                            Literal(":authority", "a") + Literal(":path", "/0");
  served.Feed(Opening() + Frame(NGHTTP2_HEADERS, 4, 1, block) + Frame(NGHTTP2_DATA, 0, 1, "ab") +
              Frame(NGHTTP2_HEADERS, 5, 1, Literal("x-checksum", "1")));
  EXPECT_EQ(served.site.visit(1).body, "ab");
  EXPECT_TRUE(served.site.visit(1).ended);
}

TEST(Session, DrainsInTwoStepsAndLosesNoRequest) {
  Served served;
  served.site.holds = true;
  Client client;
  const StreamId before = client.Get("/3");
  client.Talk(served);
  served.session.Drain();
  // The client has asked for one more before it hears of that.
  served.session.Produce(served.sent, SIZE_MAX);
  const StreamId meanwhile = client.Get("/4");
  client.Talk(served);
  EXPECT_EQ(client.goaways, (std::vector<std::int32_t>{INT32_MAX, meanwhile}));
  EXPECT_FALSE(served.session.finished());
  served.site.holds = false;
  for (const StreamId id : {before, meanwhile})
    served.site.visit(id).Answer();
  client.Talk(served);
  EXPECT_EQ(client.answer(before).body.size(), 3U);
  EXPECT_EQ(client.answer(meanwhile).body.size(), 4U);
  EXPECT_TRUE(served.session.finished());
}

TEST(Session, EndsADrainWithoutAClientThatAnswers) {
  Served served;
  served.Feed(Opening());
  served.session.Drain();
  served.session.Produce(served.sent, SIZE_MAX);
  EXPECT_FALSE(served.session.finished());
  served.session.EndDrain();
  served.session.Produce(served.sent, SIZE_MAX);
  EXPECT_TRUE(served.session.finished());
  EXPECT_EQ(served.Goaway(), NGHTTP2_NO_ERROR);
}

TEST(Session, TakesNoMoreStreamsAtOnceThanItSays) {
  Settings settings;
  settings.streams_max = 10;
  Served served(settings);
  served.site.holds = true;
  std::string bytes = Opening();
  for (std::uint32_t i = 0; i < 12; ++i)
    bytes += GetFrame(2 * i + 1);
  served.Feed(bytes);
  EXPECT_EQ(served.site.visits.size(), 10U);
  EXPECT_EQ(served.site.streams_refused, 2);
  EXPECT_FALSE(served.session.finished());
}

struct Attack {
  const char* why;
  Flood flood;
  std::string once;                       // before it
  std::string (*again)(std::uint32_t i);  // and then this, many times
};

std::string ResetOf(std::uint32_t stream) {
  return Frame(NGHTTP2_RST_STREAM, 0, stream, std::string("\0\0\0\x8", 4));
}

std::vector<Attack> Attacks() {
  return {
      {"rapid reset",
       Flood::kResets,
       "",
       [](std::uint32_t i) { return GetFrame(2 * i + 1) + ResetOf(2 * i + 1); }},
      {"SETTINGS",
       Flood::kSettings,
       "",
       [](std::uint32_t) { return Frame(NGHTTP2_SETTINGS, 0, 0, ""); }},
      {"PING",
       Flood::kPings,
       "",
       [](std::uint32_t) { return Frame(NGHTTP2_PING, 0, 0, "12345678"); }},
      {"empty DATA",
       Flood::kEmptyFrames,
       Frame(NGHTTP2_HEADERS, 4, 1, GetBlock()),
       [](std::uint32_t) { return Frame(NGHTTP2_DATA, 0, 1, ""); }},
      {"DATA of padding",
       Flood::kEmptyFrames,
       Frame(NGHTTP2_HEADERS, 4, 1, GetBlock()),
       [](std::uint32_t) { return Frame(NGHTTP2_DATA, 8, 1, std::string("\x3\0\0\0", 4)); }},
      {"empty CONTINUATION, over heads",
       Flood::kEmptyFrames,
       "",
       [](std::uint32_t i) {
         return Frame(NGHTTP2_HEADERS, 1, 2 * i + 1, GetBlock()) +
                Frame(NGHTTP2_CONTINUATION, 0, 2 * i + 1, "") +
                Frame(NGHTTP2_CONTINUATION, 4, 2 * i + 1, "");
       }},
      {"CONTINUATION without an end",
       Flood::kContinuations,
       Frame(NGHTTP2_HEADERS, 1, 1, GetBlock()),
       [](std::uint32_t) { return Frame(NGHTTP2_CONTINUATION, 0, 1, Literal("x", "y")); }},
      {"PRIORITY",
       Flood::kPriorities,
       "",
       [](std::uint32_t i) {
         return Frame(NGHTTP2_PRIORITY, 0, 2 * i + 1, std::string("\0\0\0\0\x10", 5));
       }},
      {"WINDOW_UPDATE of one byte",
       Flood::kWindowUpdates,
       GetFrame(1, "/100000"),
       [](std::uint32_t) {
         return Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\0\0\0\x1", 4));
       }},
      {"heads that are refused",
       Flood::kErrors,
       "",
       [](std::uint32_t i) { return Frame(NGHTTP2_HEADERS, 5, 2 * i + 1, Literal("X", "y")); }},
      {"bodies that are refused",
       Flood::kErrors,
       "",
       [](std::uint32_t i) {
         return Frame(NGHTTP2_HEADERS, 4, 2 * i + 1, GetBlock() + Literal("content-length", "1")) +
                Frame(NGHTTP2_DATA, 1, 2 * i + 1, "abc");
       }},
      {"streams that we have to reset",
       Flood::kErrors,
       "",
       [](std::uint32_t i) {
         return GetFrame(2 * i + 1, "/100000") +
                Frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, "\x7f\xff\xff\xff");
       }},
  };
}

TEST(Session, EndsAConnectionThatFloods) {
  for (const Attack& attack : Attacks()) {
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}}) {
      SCOPED_TRACE(attack.why);
      Served served;
      served.Feed(Opening() + attack.once, piece);
      std::uint32_t sent = 0;
      for (; !served.session.finished() && sent < 3000; ++sent)
        served.Feed(attack.again(sent + 1), piece);
      EXPECT_EQ(served.site.floods, std::vector<Flood>{attack.flood});
      EXPECT_EQ(served.Goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
      EXPECT_LE(sent, LimitOf(attack.flood).burst + 10);
      EXPECT_FALSE(served.session.HasOutput());
    }
  }
}

TEST(Session, WindowUpdatesThatWereAskedForAreNoFlood) {
  Served served;
  Client client;
  const StreamId id = client.Get("/20000000");
  client.Talk(served);
  EXPECT_EQ(client.answer(id).body.size(), 20'000'000U);
  EXPECT_TRUE(served.site.floods.empty());
}

TEST(Session, ABombOfSmallFieldsIsRefusedAndHoldsNothing) {
  Served served;
  // One field of 120 bytes goes into the table; one byte each asks for it again, 16,000 times.
  std::string block = GetBlock();
  std::string field = Literal("x-bomb", std::string(120, 'b'));
  field[0] = '\x40';
  block += field;
  block.append(16'000 - block.size(), '\xbe');
  served.Feed(Opening() + Frame(NGHTTP2_HEADERS, 5, 1, block));
  EXPECT_EQ(served.site.visit(1).refused, http::RefusalKind::kHeadTooLarge);
  EXPECT_LE(served.site.visit(1).head.size(), http::Limits{}.head_bytes_max);
  served.Feed(GetFrame(3, "/5"));
  EXPECT_TRUE(served.site.visit(3).answered);
}

struct Breach {
  const char* why;
  std::string bytes;
  std::uint32_t code;
};

TEST(Session, EndsAConnectionThatBreaksTheProtocol) {
  const std::vector<Breach> cases = {
      {"another preface", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", NGHTTP2_PROTOCOL_ERROR},
      {"no SETTINGS first", std::string(kPreface) + GetFrame(1), NGHTTP2_PROTOCOL_ERROR},
      {"DATA of no stream", Opening() + Frame(NGHTTP2_DATA, 0, 0, "x"), NGHTTP2_PROTOCOL_ERROR},
      {"DATA of an idle stream",
       Opening() + Frame(NGHTTP2_DATA, 0, 5, "x"),
       NGHTTP2_PROTOCOL_ERROR},
      {"an even stream", Opening() + GetFrame(2), NGHTTP2_PROTOCOL_ERROR},
      {"a frame larger than we take",
       Opening() + Frame(NGHTTP2_DATA, 0, 1, std::string(20'000, 'x')),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"fields that cannot be decoded",
       Opening() + Frame(NGHTTP2_HEADERS, 5, 1, "\xff\xff\xff\xff\xff\xff"),
       NGHTTP2_COMPRESSION_ERROR},
      {"a window too large",
       Opening() + Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff"),
       NGHTTP2_FLOW_CONTROL_ERROR},
      {"PUSH_PROMISE from a client",
       Opening() + Frame(NGHTTP2_PUSH_PROMISE, 4, 1, std::string("\0\0\0\x2", 4)),
       NGHTTP2_PROTOCOL_ERROR},
      {"another frame within a head",
       Opening() + Frame(NGHTTP2_HEADERS, 1, 1, GetBlock()) + Frame(NGHTTP2_PING, 0, 0, "12345678"),
       NGHTTP2_PROTOCOL_ERROR},
      {"a ping of seven bytes",
       Opening() + Frame(NGHTTP2_PING, 0, 0, "1234567"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"an acknowledgement of nothing",
       Opening() + Frame(NGHTTP2_SETTINGS, 1, 0, "") + Frame(NGHTTP2_SETTINGS, 1, 0, ""),
       NGHTTP2_PROTOCOL_ERROR},
  };
  for (const Breach& one : cases) {
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}}) {
      SCOPED_TRACE(one.why);
      Served served;
      served.Feed(one.bytes, piece);
      EXPECT_EQ(served.Goaway(), one.code);
      EXPECT_TRUE(served.session.finished());
      EXPECT_EQ(served.site.breaches, 1);
    }
  }
}

TEST(Session, DataAfterTheEndIsABreach) {
  Served served;
  served.site.holds = true;
  served.Feed(Opening() + GetFrame(1) + Frame(NGHTTP2_DATA, 0, 1, "x"));
  EXPECT_EQ(served.Goaway(), NGHTTP2_STREAM_CLOSED);
  EXPECT_TRUE(served.session.finished());
}

}  // namespace
}  // namespace onebox::http2
