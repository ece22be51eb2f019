#pragma once
// What the room's tests share: a client of nghttp2's, an owner that answers, and frames by hand.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "base/check.h"
#include "http2/session.h"

namespace onebox::http2 {

// One frame, as it is sent: RFC 9113 4.1.
inline std::string Frame(std::uint8_t type,
                         std::uint8_t flags,
                         std::uint32_t stream,
                         std::string_view payload) {
  std::string frame;
  for (const int shift : {16, 8, 0})
    frame.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0})
    frame.push_back(static_cast<char>(stream >> shift & 0xff));
  return frame.append(payload);
}

// A literal field that is not indexed, without Huffman: RFC 7541 6.2.2. Up to 126 bytes each.
inline std::string Literal(std::string_view name, std::string_view value) {
  CHECK(name.size() < 127 && value.size() < 127);
  std::string bytes(1, '\0');
  bytes.push_back(static_cast<char>(name.size()));
  bytes.append(name);
  bytes.push_back(static_cast<char>(value.size()));
  return bytes.append(value);
}

inline std::string GetBlock(std::string_view path = "/") {
  return Literal(":method", "GET") + Literal(":scheme", "http") + Literal(":authority", "a") +
         Literal(":path", path);
}

// HEADERS with END_HEADERS and, where it ends there, END_STREAM.
inline std::string GetFrame(std::uint32_t stream, std::string_view path = "/") {
  return Frame(NGHTTP2_HEADERS, 0x5, stream, GetBlock(path));
}

// What a client begins with.
inline std::string Opening() {
  return std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, "");
}

// Answers "/N" with N bytes, and other paths as they end; writes down what it was told.
class Site final : public Owner {
 public:
  class Visit final : public Stream {
   public:
    Visit(Site& site, const Request& request)
        : site_(site), id(request.id), head(request.head), refused(request.refused) {}

    void OnBody(std::string_view bytes) override { body.append(bytes); }
    void OnBodyEnd() override {
      ended = true;
      Answer();
    }
    void OnRefused(http::RefusalKind kind) override {
      refused = kind;
      Answer();
    }
    void OnClosed() override { closed = true; }
    Supply Ready(std::size_t bytes_max) override {
      if (waits) return {};
      const std::size_t bytes = std::min(bytes_max, left_);
      return {.bytes = bytes, .last = bytes == left_};
    }
    bool Take(std::size_t bytes, std::string& out) override {
      if (breaks) return false;
      left_ -= bytes;
      out.append(bytes, 'x');
      return true;
    }

    void Answer() {
      if (answered || site_.holds) return;
      answered = true;
      const std::size_t slash = head.find('/');
      left_ =
          refused ? 0 : static_cast<std::size_t>(std::atoll(head.c_str() + slash + 1));  // NOLINT
      const std::string fields =
          "Content-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
          std::to_string(left_) + "\r\n";
      site_.session->SendHead(
          id,
          {.status = refused ? 400 : 200, .fields = fields, .body = left_ > 0 ? this : nullptr});
    }

   private:
    Site& site_;
    std::size_t left_ = 0;

   public:
    const StreamId id;
    const std::string head;
    std::optional<http::RefusalKind> refused;
    std::string body;
    bool ended = false;
    bool answered = false;
    bool closed = false;
    bool waits = false;   // has nothing of its body yet
    bool breaks = false;  // cannot give what it promised
  };

  Stream* OnRequest(const Request& request) override {
    visits.push_back(std::make_unique<Visit>(*this, request));
    Visit& visit = *visits.back();
    if (request.ended) visit.ended = true;
    if (request.ended || request.refused) visit.Answer();
    return &visit;
  }
  void OnFlood(Flood flood) override { floods.push_back(flood); }
  void OnStreamsMax() override { ++streams_refused; }
  void OnBreach() override { ++breaches; }

  Visit& visit(StreamId id) {
    const auto found = std::find_if(
        visits.begin(), visits.end(), [id](const auto& visit) { return visit->id == id; });
    CHECK(found != visits.end());
    return **found;
  }

  Session* session = nullptr;
  bool holds = false;  // answers nothing by itself
  std::vector<std::unique_ptr<Visit>> visits;
  std::vector<Flood> floods;
  int streams_refused = 0;
  int breaches = 0;
};

// A site with its session, and what it has sent.
class Served {
 public:
  explicit Served(const Settings& settings = {}) : session(site, settings) {
    site.session = &session;
  }
  // Feeds in pieces of that size, and fetches what there is after each.
  void Feed(std::string_view bytes, std::size_t piece = SIZE_MAX) {
    for (std::size_t at = 0; at < bytes.size() && !session.finished();) {
      const std::string_view part = bytes.substr(at, piece);
      session.Receive(part, now);
      at += part.size();
      session.Produce(sent, SIZE_MAX);
    }
  }
  // The error code of the last GOAWAY; nothing where there was none.
  std::optional<std::uint32_t> Goaway() const {
    std::optional<std::uint32_t> code;
    for (std::size_t at = 0; at + 9 <= sent.size();) {
      const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(sent[at + i]); };
      const std::size_t size = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
      if (byte(3) == NGHTTP2_GOAWAY) code = byte(16);
      at += 9 + size;
    }
    return code;
  }

  Site site;
  Session session;
  Time now{std::chrono::hours(1)};
  std::string sent;
};

// nghttp2's client, and what came back.
class Client {
 public:
  struct Answer {
    std::vector<std::pair<std::string, std::string>> fields;
    std::string body;
    bool ended = false;
    std::optional<std::uint32_t> reset;

    std::string Value(std::string_view name) const {
      for (const auto& [one, value] : fields)
        if (one == name) return value;
      return {};
    }
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;

  explicit Client(const std::vector<nghttp2_settings_entry>& settings = {}) {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_option* option = nullptr;
    CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_http_messaging(option, 1);  // it is to send what is wrong
    CHECK(nghttp2_session_client_new2(&session_, callbacks, this, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    CHECK(nghttp2_submit_settings(session_, 0, settings.data(), settings.size()) == 0);
  }
  ~Client() { nghttp2_session_del(session_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Where a body is given, without END_STREAM in the head.
  StreamId Ask(const Fields& fields, std::optional<std::string> body = {}) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields)
      list.push_back(
          {const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(name.data())),
           const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(value.data())),
           name.size(),
           value.size(),
           0});
    nghttp2_data_provider provider{};
    if (body) {
      bodies_.push_back(std::make_unique<std::string>(*std::move(body)));
      provider.source.ptr = bodies_.back().get();
      provider.read_callback = OnRead;
    }
    return nghttp2_submit_request(
        session_, nullptr, list.data(), list.size(), body ? &provider : nullptr, nullptr);
  }
  StreamId Get(const std::string& path) {
    return Ask({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}});
  }
  StreamId Post(const std::string& path, std::string body, Fields more = {}) {
    Fields fields = {
        {":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}};
    fields.insert(fields.end(), more.begin(), more.end());
    return Ask(fields, std::move(body));
  }
  void Reset(StreamId id) { nghttp2_submit_rst_stream(session_, 0, id, NGHTTP2_CANCEL); }
  nghttp2_session* raw() { return session_; }
  Answer& answer(StreamId id) { return answers_[id]; }

  // Bytes go to and fro, in pieces, until nobody says any more.
  void Talk(Served& served, std::size_t piece = SIZE_MAX) {
    for (bool spoke = true; spoke;) {
      spoke = false;
      const std::uint8_t* bytes = nullptr;
      for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &bytes)) > 0;) {
        served.Feed({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)}, piece);
        spoke = true;
      }
      served.session.Produce(served.sent, SIZE_MAX);
      if (heard_ == served.sent.size()) continue;
      const std::string_view news = std::string_view(served.sent).substr(heard_);
      for (std::size_t at = 0; at < news.size(); at += std::min(piece, news.size())) {
        const std::string_view part = news.substr(at, piece);
        CHECK(nghttp2_session_mem_recv(session_,
                                       reinterpret_cast<const std::uint8_t*>(part.data()),
                                       part.size()) == static_cast<ssize_t>(part.size()));
      }
      heard_ = served.sent.size();
      spoke = true;
    }
  }

  std::vector<std::int32_t> goaways;  // the last stream id of each

 private:
  static Client& Of(void* user) { return *static_cast<Client*>(user); }
  static int OnHeader(nghttp2_session*,
                      const nghttp2_frame* frame,
                      const std::uint8_t* name,
                      std::size_t name_size,
                      const std::uint8_t* value,
                      std::size_t value_size,
                      std::uint8_t,
                      void* user) {
    Of(user).answers_[frame->hd.stream_id].fields.emplace_back(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int OnData(nghttp2_session*,
                    std::uint8_t,
                    std::int32_t id,
                    const std::uint8_t* bytes,
                    std::size_t size,
                    void* user) {
    Of(user).answers_[id].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Client& client = Of(user);
    const bool carries = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      client.answers_[frame->hd.stream_id].ended = true;
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) client.goaways.push_back(frame->goaway.last_stream_id);
    return 0;
  }
  static int OnClose(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    Of(user).answers_[id].reset = code;
    return 0;
  }
  static ssize_t OnRead(nghttp2_session*,
                        std::int32_t,
                        std::uint8_t* buffer,
                        std::size_t size,
                        std::uint32_t* flags,
                        nghttp2_data_source* source,
                        void*) {
    std::string& body = *static_cast<std::string*>(source->ptr);
    const std::size_t bytes = std::min(size, body.size());
    std::copy_n(body.begin(), bytes, buffer);
    body.erase(0, bytes);
    if (body.empty()) *flags = NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(bytes);
  }

  nghttp2_session* session_ = nullptr;
  std::map<StreamId, Answer> answers_;
  std::vector<std::unique_ptr<std::string>> bodies_;
  std::size_t heard_ = 0;
};

}  // namespace onebox::http2
