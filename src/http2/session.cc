#include "http2/session.h"

#include <array>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "base/ascii.h"
#include "base/check.h"

namespace onebox::http2 {
namespace {

constexpr std::array<std::uint8_t, 8> kDrainPing = {'o', 'n', 'e', 'b', 'o', 'x', 0, 1};
constexpr std::size_t kFrameHeadBytes = 9;
constexpr std::size_t kAnswerHeadBytesMax = 1 << 20;  // the channel takes far less
// Of one head. nghttp2 1.52 counts the pieces in which the frames' heads arrive, so this is only for what
// it does not tell us of: a head that it ignores.
constexpr std::size_t kContinuationPiecesMax =
    LimitOf(Flood::kContinuations).burst * kFrameHeadBytes;
constexpr std::uint64_t kNever = UINT32_MAX;  // a rate limit of nghttp2's that ours goes before

static_assert(static_cast<std::uint32_t>(ErrorCode::kEnhanceYourCalm) == NGHTTP2_ENHANCE_YOUR_CALM);
static_assert(static_cast<std::uint32_t>(ErrorCode::kCancel) == NGHTTP2_CANCEL);

const std::uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::string_view View(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// nghttp2 reads names and values and copies them, names in lower case; its structure has no const.
nghttp2_nv FieldOf(std::string_view name, std::string_view value, std::uint8_t flags) {
  return {.name = const_cast<std::uint8_t*>(Bytes(name)),
          .value = const_cast<std::uint8_t*>(Bytes(value)),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = flags};
}

// What is said of an HTTP/1 connection has no place here: RFC 9113 8.2.2.
bool IsConnectionField(std::string_view name) {
  switch (name.size()) {
    case 7:
      return EqualsIgnoreCase(name, "Upgrade");
    case 10:
      return EqualsIgnoreCase(name, "Connection") || EqualsIgnoreCase(name, "Keep-Alive");
    case 16:
      return EqualsIgnoreCase(name, "Proxy-Connection");
    case 17:
      return EqualsIgnoreCase(name, "Transfer-Encoding");
    default:
      return false;
  }
}

// Another value each time would push out of the compressor's table what repeats.
bool IsNeverTheSame(std::string_view name) {
  return name.size() == 12 && EqualsIgnoreCase(name, "X-Request-ID");
}

class FieldList {
 public:
  explicit FieldList(int status) {
    fields_.reserve(16);
    for (std::size_t i = digits_.size(); i > 0; status /= 10)
      digits_[--i] = static_cast<char>('0' + status % 10);
    fields_.push_back(FieldOf(":status", {digits_.data(), digits_.size()}, NGHTTP2_NV_FLAG_NONE));
  }
  FieldList(const FieldList&) = delete;
  FieldList& operator=(const FieldList&) = delete;

  // "Name: value\r\n" and so on, which outlive the list.
  void AppendLines(std::string_view lines) {
    while (!lines.empty()) {
      const std::size_t end = lines.find("\r\n");
      const std::size_t colon = lines.find(": ");
      CHECK(end != lines.npos && colon < end);
      Append(lines.substr(0, colon), lines.substr(colon + 2, end - colon - 2));
      lines.remove_prefix(end + 2);
    }
  }
  void Append(std::string_view name, std::string_view value) {
    if (IsConnectionField(name)) return;
    const bool unlike = IsNeverTheSame(name);
    fields_.push_back(
        FieldOf(name, value, unlike ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE));
  }

  const nghttp2_nv* data() const { return fields_.data(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::array<char, 3> digits_{};
  std::vector<nghttp2_nv> fields_;
};

void AppendNumber(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((value >> shift) & 0xff));
}

}  // namespace

// Each is one event of nghttp2's; `user` is the session. What they return below zero ends the session,
// so they do not, but where that is meant.
struct Session::Callbacks {
  static Session& Of(void* user) { return *static_cast<Session*>(user); }

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) {
    Session& session = Of(user);
    const auto flood = FloodOf(*frame);
    return flood && session.Exceeds(*flood) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static std::optional<Flood> FloodOf(const nghttp2_frame_hd& frame) {
    const bool empty = frame.length == 0;
    switch (frame.type) {
      case NGHTTP2_DATA:
        if (!empty || (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0) return std::nullopt;
        return Flood::kEmptyFrames;
      case NGHTTP2_CONTINUATION:
        if (!empty) return Flood::kContinuations;
        return Flood::kEmptyFrames;
      case NGHTTP2_HEADERS:
        if (!empty || (frame.flags & NGHTTP2_FLAG_END_HEADERS) != 0) return std::nullopt;
        return Flood::kEmptyFrames;
      case NGHTTP2_RST_STREAM:
        return Flood::kResets;
      case NGHTTP2_SETTINGS:
        return Flood::kSettings;
      case NGHTTP2_PING:
        return Flood::kPings;
      case NGHTTP2_PRIORITY:
        return Flood::kPriorities;
      case NGHTTP2_WINDOW_UPDATE:
        return Flood::kWindowUpdates;
      default:
        return std::nullopt;
    }
  }

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Session& session = Of(user);
    session.guard_.Forget(Flood::kContinuations);
    session.reading_head_ = true;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      session.head_.Begin();
    } else {
      session.trailer_refused_.reset();
    }
    return 0;
  }

  static int OnHeader(nghttp2_session*,
                      const nghttp2_frame* frame,
                      const std::uint8_t* name,
                      std::size_t name_size,
                      const std::uint8_t* value,
                      std::size_t value_size,
                      std::uint8_t,
                      void* user) {
    Session& session = Of(user);
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      session.head_.Take(View(name, name_size), View(value, value_size));
    } else if (!session.trailer_refused_) {
      session.trailer_refused_ = CheckTrailer(View(name, name_size), View(value, value_size));
    }
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Session& session = Of(user);
    const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS) session.reading_head_ = false;
    const auto ends = ended ? RequestText::Ends::kYes : RequestText::Ends::kNo;
    if (frame->hd.type == NGHTTP2_HEADERS) {
      const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
      request ? session.FinishHead(frame->hd.stream_id, ends)
              : session.FinishTrailers(frame->hd.stream_id, ends);
    } else if (frame->hd.type == NGHTTP2_DATA) {
      Stream* const stream = session.StreamOf(frame->hd.stream_id);
      if (ended && stream != nullptr) session.EndBody(*stream);
      const bool padding_alone = frame->hd.length > 0 && frame->hd.length <= frame->data.padlen;
      if (padding_alone && !ended && session.Exceeds(Flood::kEmptyFrames)) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      }
    } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
      session.EndDrain();  // one RTT has passed, or the client pretends so
    }
    return session.end_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int OnData(nghttp2_session* raw,
                    std::uint8_t,
                    std::int32_t id,
                    const std::uint8_t* bytes,
                    std::size_t size,
                    void* user) {
    Session& session = Of(user);
    const Stream* const stream = session.StreamOf(id);
    const bool held = stream != nullptr && stream->holds_window_ && !stream->ignores_body_;
    session.TakeBody(id, View(bytes, size));
    // It is stored, or it is for nobody: the window opens again.
    const int consumed = held ? nghttp2_session_consume_connection(raw, size)
                              : nghttp2_session_consume(raw, id, size);
    return session.end_ || nghttp2_is_fatal(consumed) != 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int OnClose(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    if (Stream* const stream = Of(user).StreamOf(id)) stream->OnClosed();
    return 0;
  }

  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame*, int error, void* user) {
    Session& session = Of(user);
    const bool refused = error == NGHTTP2_ERR_REFUSED_STREAM;
    if (refused) session.owner_.OnStreamsMax();
    const Flood flood = refused ? Flood::kResets : Flood::kErrors;
    return session.Exceeds(flood) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int OnSent(nghttp2_session* raw, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      Of(user).owner_.OnBreach();
    }
    const bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (!may_end || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    // The answer is whole and the request is not: nobody needs its rest (RFC 9113 8.1).
    if (nghttp2_session_get_stream_remote_close(raw, frame->hd.stream_id) == 0) {
      nghttp2_submit_rst_stream(raw, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static int OnNotSent(nghttp2_session* raw, const nghttp2_frame* frame, int error, void*) {
    const bool lost = frame->hd.type == NGHTTP2_HEADERS && error != NGHTTP2_ERR_STREAM_CLOSED &&
                      error != NGHTTP2_ERR_STREAM_CLOSING;
    if (lost) {
      nghttp2_submit_rst_stream(
          raw, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
  }

  static ssize_t OnRead(nghttp2_session*,
                        std::int32_t,
                        std::uint8_t*,
                        std::size_t size,
                        std::uint32_t* flags,
                        nghttp2_data_source* source,
                        void*) {
    const Stream::Supply supply = static_cast<Stream*>(source->ptr)->Ready(size);
    if (supply.bytes == 0 && !supply.last) return NGHTTP2_ERR_DEFERRED;
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (supply.last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(supply.bytes);
  }

  static int OnSendData(nghttp2_session*,
                        nghttp2_frame*,
                        const std::uint8_t* frame_head,
                        std::size_t size,
                        nghttp2_data_source* source,
                        void* user) {
    Session& session = Of(user);
    std::string& out = *session.out_;
    const std::size_t before = out.size();
    if (before >= session.out_max_) return NGHTTP2_ERR_WOULDBLOCK;
    out.append(View(frame_head, kFrameHeadBytes));
    if (!static_cast<Stream*>(source->ptr)->Take(size, out)) {
      out.resize(before);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    session.guard_.Allow(Flood::kWindowUpdates, static_cast<std::uint32_t>(size >> 10));
    return 0;
  }

  static nghttp2_session* NewSession(Session& session) {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, OnBeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, OnInvalidFrame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, OnSent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, OnNotSent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, OnSendData);
    nghttp2_option* option = nullptr;
    CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1);  // RequestText does it, and says why
    nghttp2_option_set_max_continuations(option, kContinuationPiecesMax);
    nghttp2_option_set_stream_reset_rate_limit(option, kNever, kNever);
    nghttp2_option_set_max_send_header_block_length(option, kAnswerHeadBytesMax);
    nghttp2_session* made = nullptr;
    CHECK(nghttp2_session_server_new2(&made, callbacks, &session, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return made;
  }
};

void Session::Delete::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

Session::Session(Owner& owner, const Settings& settings)
    : owner_(owner), session_(Callbacks::NewSession(*this)), head_(settings.head) {
  const std::array<nghttp2_settings_entry, 5> entries = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.streams_max},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(settings.head.head_bytes_max)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, settings.offers_websockets ? 1U : 0U},
  }};
  CHECK(nghttp2_submit_settings(
            session_.get(), NGHTTP2_FLAG_NONE, entries.data(), entries.size()) == 0);
  CHECK(nghttp2_session_set_local_window_size(
            session_.get(),
            NGHTTP2_FLAG_NONE,
            0,
            static_cast<std::int32_t>(settings.connection_window)) == 0);
}

Session::~Session() = default;

// --- input

void Session::Receive(std::string_view bytes, Time now) {
  if (end_) return;
  now_ = now;
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), Bytes(bytes), bytes.size());
  if (taken >= 0 || end_) return;
  if (taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    owner_.OnFlood(Flood::kContinuations);
    return End(ErrorCode::kEnhanceYourCalm);
  }
  if (taken == NGHTTP2_ERR_FLOODED) {  // answers to pings that it does not fetch
    owner_.OnFlood(Flood::kPings);
    return End(ErrorCode::kEnhanceYourCalm);
  }
  owner_.OnBreach();
  End(taken == NGHTTP2_ERR_NOMEM ? ErrorCode::kInternalError : ErrorCode::kProtocolError);
}

bool Session::Exceeds(Flood flood) {
  if (!guard_.Exceeds(flood, now_)) return false;
  if (!end_) owner_.OnFlood(flood);
  End(ErrorCode::kEnhanceYourCalm);
  return true;
}

// nghttp2 is not asked any more: after an error in the middle of a frame its state means nothing.
void Session::End(ErrorCode code) {
  if (!end_) end_ = code;
}

Stream* Session::StreamOf(StreamId id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
}

void Session::FinishHead(StreamId id, RequestText::Ends ends) {
  const auto refused = head_.Finish(ends);
  const bool ended = ends == RequestText::Ends::kYes;
  if (refused && Exceeds(Flood::kErrors)) return;
  // Those of one urgency take turns, frame by frame, so that none waits for another's end.
  const nghttp2_extpri priority = {.urgency = head_.urgency(), .inc = 1};
  nghttp2_session_change_extpri_stream_priority(session_.get(), id, &priority, 1);
  Stream* const stream = owner_.OnRequest({.id = id,
                                           .head = head_.text(),
                                           .refused = refused,
                                           .ended = ended,
                                           .websocket = head_.websocket()});
  if (stream == nullptr) return;
  stream->counts_body_ = head_.content_length().has_value();
  stream->body_left_ = head_.content_length().value_or(0);
  if (refused) stream->ignores_body_ = true;
  nghttp2_session_set_stream_user_data(session_.get(), id, stream);
}

void Session::FinishTrailers(StreamId id, RequestText::Ends ends) {
  Stream* const stream = StreamOf(id);
  if (stream == nullptr || stream->ignores_body_) return;
  if (trailer_refused_) return RefuseBody(*stream, *trailer_refused_);
  if (ends == RequestText::Ends::kNo) {  // RFC 9113 8.1: nothing comes after trailers
    return RefuseBody(*stream, http::RefusalKind::kBadTrailer);
  }
  EndBody(*stream);
}

void Session::TakeBody(StreamId id, std::string_view bytes) {
  Stream* const stream = StreamOf(id);
  if (stream == nullptr || stream->ignores_body_) return;
  if (stream->counts_body_) {
    if (bytes.size() > stream->body_left_) {
      return RefuseBody(*stream, http::RefusalKind::kBodyLength);
    }
    stream->body_left_ -= bytes.size();
  }
  stream->OnBody(bytes);
}

void Session::EndBody(Stream& stream) {
  if (stream.ignores_body_) return;
  if (stream.counts_body_ && stream.body_left_ > 0) {
    return RefuseBody(stream, http::RefusalKind::kBodyLength);
  }
  stream.OnBodyEnd();
}

void Session::RefuseBody(Stream& stream, http::RefusalKind kind) {
  stream.ignores_body_ = true;
  if (!Exceeds(Flood::kErrors)) stream.OnRefused(kind);
}

void Session::IgnoreBody(Stream& stream) {
  stream.ignores_body_ = true;
}

void Session::HoldWindow(Stream& stream) {
  stream.holds_window_ = true;
}

void Session::Consume(StreamId id, std::size_t bytes) {
  if (!end_) nghttp2_session_consume_stream(session_.get(), id, bytes);
}

// --- output

void Session::Produce(std::string& out, std::size_t bytes_max) {
  if (!end_) {
    out_ = &out;
    out_max_ = bytes_max;
    while (out.size() < bytes_max) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
      if (size < 0) End(ErrorCode::kInternalError);
      if (size <= 0) break;
      out.append(View(bytes, static_cast<std::size_t>(size)));
    }
    out_ = nullptr;
  }
  if (!end_ || end_sent_) return;
  end_sent_ = true;
  constexpr std::uint32_t kGoawaySize = 8;
  AppendNumber(out, kGoawaySize << 8 | NGHTTP2_GOAWAY);  // length, type
  out.append(5, '\0');                                   // no flags, of no stream
  AppendNumber(out,
               static_cast<std::uint32_t>(nghttp2_session_get_last_proc_stream_id(session_.get())));
  AppendNumber(out, static_cast<std::uint32_t>(*end_));
}

bool Session::HasOutput() const {
  return end_ ? !end_sent_ : nghttp2_session_want_write(session_.get()) != 0;
}

bool Session::finished() const {
  return end_ ? end_sent_
              : nghttp2_session_want_read(session_.get()) == 0 &&
                    nghttp2_session_want_write(session_.get()) == 0;
}

void Session::SendInterim(StreamId id, int status, std::string_view fields) {
  if (end_) return;
  FieldList list(status);
  list.AppendLines(fields);
  nghttp2_submit_headers(
      session_.get(), NGHTTP2_FLAG_NONE, id, nullptr, list.data(), list.size(), nullptr);
}

void Session::SendHead(StreamId id, const Head& head) {
  if (end_) return;
  FieldList list(head.status);
  list.AppendLines(head.fields);
  nghttp2_data_provider provider{};
  provider.source.ptr = head.body;
  provider.read_callback = Callbacks::OnRead;
  nghttp2_submit_response(
      session_.get(), id, list.data(), list.size(), head.body != nullptr ? &provider : nullptr);
}

void Session::Resume(StreamId id) {
  if (!end_) nghttp2_session_resume_data(session_.get(), id);
}

void Session::Reset(StreamId id, ErrorCode code) {
  if (end_) return;
  nghttp2_submit_rst_stream(
      session_.get(), NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code));
}

// --- the end

// A client may have sent a request before it hears that none are taken. So the first GOAWAY names the
// highest id there is, and the second, a round trip later, the last that was taken (RFC 9113 6.8).
void Session::Drain() {
  if (end_ || draining_ != Draining::kNo) return;
  draining_ = Draining::kAnnounced;
  nghttp2_submit_shutdown_notice(session_.get());
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, kDrainPing.data());
}

void Session::EndDrain() {
  if (end_ || draining_ != Draining::kAnnounced) return;
  draining_ = Draining::kYes;
  nghttp2_submit_goaway(session_.get(),
                        NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()),
                        NGHTTP2_NO_ERROR,
                        nullptr,
                        0);
}

}  // namespace onebox::http2
