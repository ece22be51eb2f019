#include "tls/session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <openssl/err.h>

#include "base/check.h"

namespace onebox::tls {
namespace {

constexpr std::size_t kHeaderBytes = 5;            // RFC 8446 section 5.1
constexpr std::size_t kPayloadMax = 16384 + 2048;  // RFC 5246 section 6.2.3; TLS 1.3 has less
constexpr unsigned char kFirstKind = 20;           // change_cipher_spec
constexpr unsigned char kLastKind = 23;            // application_data
constexpr unsigned char kAlert = 21;
constexpr unsigned char kHandshake = 22;

unsigned char ByteAt(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

// Of the record that `bytes` begin with, or of its header while that is not whole.
std::size_t RecordSize(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return kHeaderBytes;
  return kHeaderBytes + (std::size_t{ByteAt(bytes, 3)} << 8U) + ByteAt(bytes, 4);
}

std::time_t Seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Whether a record can begin like this; what is not there yet can be anything.
bool Plausible(std::string_view record) {
  const unsigned char kind = ByteAt(record, 0);
  if (kind < kFirstKind || kind > kLastKind) return false;
  if (record.size() > 1 && ByteAt(record, 1) != 3) return false;
  return record.size() < kHeaderBytes || RecordSize(record) <= kHeaderBytes + kPayloadMax;
}

// Of `bytes`, what is whole and plausible records.
std::size_t WholeRecords(std::string_view bytes) {
  std::size_t whole = 0;
  while (whole < bytes.size() && Plausible(bytes.substr(whole))) {
    const std::size_t size = RecordSize(bytes.substr(whole));
    if (whole + size > bytes.size()) break;
    whole += size;
  }
  return whole;
}

Failure FailureOf(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
    return Failure::kRefusedByPeer;
  }
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
      return Failure::kVersion;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SHARED_GROUPS:
      return Failure::kNothingShared;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return Failure::kNoProtocol;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return Failure::kPeerCertificate;
    default:
      return Failure::kBroken;
  }
}

bool IsAddress(const std::string& host) {
  const std::unique_ptr<ASN1_OCTET_STRING, Freer<ASN1_OCTET_STRING_free>> address(
      a2i_IPADDRESS(host.c_str()));
  ERR_clear_error();
  return address != nullptr;
}

}  // namespace

std::string_view Label(Failure failure) {
  static constexpr std::array<std::string_view, kFailures> kLabels = {"none",
                                                                      "not_tls",
                                                                      "version",
                                                                      "nothing_shared",
                                                                      "no_protocol",
                                                                      "peer_certificate",
                                                                      "refused_by_peer",
                                                                      "broken"};
  return kLabels[static_cast<std::size_t>(failure)];
}

// --- the BIO: reads what was received, appends to what is to be sent

int Session::Read(BIO* bio, char* into, std::size_t room, std::size_t* read) {
  Session& session = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t size = std::min(room, session.input_.size());
  *read = size;
  if (size == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, session.input_.data(), size);
  session.input_.remove_prefix(size);
  return 1;
}

int Session::Write(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) {
  Session& session = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  session.out_->append(bytes, size);
  *written = size;
  return 1;
}

long Session::Control(BIO* /*bio*/, int command, long /*number*/, void* /*argument*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* Session::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "session");
    CHECK(made != nullptr);
    BIO_meth_set_read_ex(made, Read);
    BIO_meth_set_write_ex(made, Write);
    BIO_meth_set_ctrl(made, Control);
    return made;
  }();
  return method;
}

Session& Session::Of(const SSL* ssl) {
  return *static_cast<Session*>(BIO_get_data(SSL_get_rbio(ssl)));
}

// --- the begin

Session::Session(std::shared_ptr<const ServerContext> context, WallTime now)
    : server_(std::move(context)) {
  Init(server_->ssl_context(), now);
  SSL_set_accept_state(ssl_.get());
}

Session::Session(std::shared_ptr<const ClientContext> context,
                 const std::string& host,
                 WallTime now)
    : client_(std::move(context)) {
  Init(client_->ssl_context(), now);
  SSL_set_connect_state(ssl_.get());
  const bool address = IsAddress(host);
  if (!address) {
    SSL_ctrl(ssl_.get(),
             SSL_CTRL_SET_TLSEXT_HOSTNAME,
             TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
  }
  if (client_->verify() == Verify::kNothing) return;
  SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str())
                          : SSL_set1_host(ssl_.get(), host.c_str());
  CHECK(set == 1);
}

// Else OpenSSL would take a connection that ended without a word as a reason to forget the session, and
// the client could not go on with it.
Session::~Session() {
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void Session::Init(SSL_CTX* context, WallTime now) {
  began_ = now;
  ssl_.reset(SSL_new(context));
  CHECK(ssl_ != nullptr);
  BIO* bio = BIO_new(Method());
  CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // owned by it
  X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl_.get()), Seconds(now));
}

// --- in

std::size_t Session::Receive(std::string_view bytes, std::span<char> plaintext, std::string& out) {
  CHECK(plaintext.size() >= bytes.size() + held_.size());
  std::size_t size = 0;
  while (!held_.empty() && !bytes.empty()) {
    if (!Complete(bytes)) return size;
    const std::string record = std::exchange(held_, {});
    size += Feed(record, plaintext.subspan(size), out);
  }
  if (!Goes()) return size;
  const std::size_t whole = WholeRecords(bytes);
  const std::string_view rest = bytes.substr(whole);
  if (whole > 0) size += Feed(bytes.substr(0, whole), plaintext.subspan(size), out);
  if (Goes() && !rest.empty()) size += Hold(rest, plaintext.subspan(size), out);
  return size;
}

// Moves bytes to the record that is held; whether it is whole then.
bool Session::Complete(std::string_view& bytes) {
  while (!bytes.empty() && held_.size() < RecordSize(held_)) {
    const std::size_t missing = std::min(RecordSize(held_) - held_.size(), bytes.size());
    held_.append(bytes.substr(0, missing));
    bytes.remove_prefix(missing);
    if (!Plausible(held_)) return true;
  }
  return held_.size() == RecordSize(held_);
}

// What of `rest`, the begin of a record, cannot become one is for OpenSSL to answer.
std::size_t Session::Hold(std::string_view rest, std::span<char> plaintext, std::string& out) {
  if (!Plausible(rest)) return Feed(rest, plaintext, out);
  held_.assign(rest);
  return 0;
}

// `records` are whole, or not to be completed.
std::size_t Session::Feed(std::string_view records, std::span<char> plaintext, std::string& out) {
  if (!Goes()) return 0;
  if (!is_tls_ && ByteAt(records, 0) != kHandshake && ByteAt(records, 0) != kAlert) {
    FailWith(Failure::kNotTls);
    return 0;
  }
  is_tls_ = true;
  input_ = records;
  out_ = &out;
  ERR_clear_error();
  const std::size_t size = ReadAll(plaintext);
  CHECK(!Goes() || input_.empty());
  input_ = {};
  out_ = nullptr;
  if (Goes() && !Plausible(records)) FailWith(Failure::kBroken);
  return size;
}

std::size_t Session::ReadAll(std::span<char> plaintext) {
  std::size_t size = 0;
  while (true) {
    std::size_t read = 0;
    // Room for one byte at least: where none is left nothing is left to be read either.
    char none = 0;
    char* into = size < plaintext.size() ? plaintext.data() + size : &none;
    const std::size_t room = std::max<std::size_t>(plaintext.size() - size, 1);
    const int done = SSL_read_ex(ssl_.get(), into, room, &read);
    if (state_ == State::kHandshake && SSL_is_init_finished(ssl_.get()) == 1) {
      state_ = State::kOpen;
    }
    if (done != 1) {
      Stopped(SSL_get_error(ssl_.get(), done));
      return size;
    }
    CHECK(into != &none);
    size += read;
  }
}

void Session::Stopped(int why) {
  if (why == SSL_ERROR_WANT_READ) return;
  if (why == SSL_ERROR_ZERO_RETURN && state_ == State::kOpen) {
    state_ = State::kEnded;
    return;
  }
  error_ = ERR_peek_error();
  ERR_clear_error();
  FailWith(error_ == 0 ? Failure::kRefusedByPeer : FailureOf(error_));
}

void Session::FailWith(Failure failure) {
  state_ = State::kFailed;
  failure_ = failure;
  std::string().swap(held_);
}

// --- out

void Session::Start(std::string& out, SSL_SESSION* earlier) {
  CHECK(client_ != nullptr);
  out_ = &out;
  ERR_clear_error();
  if (earlier != nullptr) SSL_set_session(ssl_.get(), earlier);
  const int done = SSL_do_handshake(ssl_.get());
  Stopped(SSL_get_error(ssl_.get(), done));
  out_ = nullptr;
}

bool Session::Send(std::string_view plaintext, std::string& out) {
  CHECK(state_ != State::kHandshake && !end_sent_);
  if (state_ == State::kFailed) return false;
  if (plaintext.empty()) return true;
  out_ = &out;
  ERR_clear_error();
  std::size_t written = 0;
  const int done = SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written);
  out_ = nullptr;
  if (done == 1) return true;
  error_ = ERR_peek_error();
  ERR_clear_error();
  FailWith(Failure::kBroken);
  return false;
}

void Session::End(std::string& out) {
  if (end_sent_) return;
  end_sent_ = true;
  if (state_ == State::kFailed || state_ == State::kHandshake) return;
  out_ = &out;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  out_ = nullptr;
}

// --- what is known of it

std::string Session::FailureText() const {
  if (failure_ == Failure::kNotTls) return "what came is no TLS";
  const char* reason = ERR_reason_error_string(error_);
  return reason == nullptr ? std::string(Label(failure_)) : reason;
}

SessionHandle Session::resumable() const {
  SessionHandle session(SSL_get1_session(ssl_.get()));
  if (session != nullptr && SSL_SESSION_is_resumable(session.get()) != 1) session.reset();
  return session;
}

std::string_view Session::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view Session::server_name() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? std::string_view() : name;
}

std::string_view Session::version() const {
  return SSL_get_version(ssl_.get());
}

std::string_view Session::cipher() const {
  return SSL_get_cipher_name(ssl_.get());
}

bool Session::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

std::optional<PeerCertificate> Session::peer() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return std::nullopt;
  return Describe(*certificate);
}

}  // namespace onebox::tls
