#include "acme/curl_transport.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/ascii.h"
#include "base/check.h"

namespace onebox::acme {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kFieldBytesMax = 4096;

int Milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::ceil<milliseconds>(duration).count());
}

// Less than all: libcurl gives up.
std::size_t TakeBody(const char* bytes, std::size_t /*one*/, std::size_t size, void* answer) {
  std::string& body = static_cast<HttpAnswer*>(answer)->body;
  if (body.size() + size > kAnswerBytesMax) return 0;
  body.append(bytes, size);
  return size;
}

// A line of the head: the last field of a name holds.
std::size_t TakeField(const char* bytes, std::size_t /*one*/, std::size_t size, void* answer) {
  std::string_view line(bytes, size);
  while (line.ends_with('\n') || line.ends_with('\r'))
    line.remove_suffix(1);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || size > kFieldBytesMax) return size;
  const std::string_view name = line.substr(0, colon);
  auto& its = *static_cast<HttpAnswer*>(answer);
  const std::pair<std::string_view, std::string&> known[] = {
      {"Replay-Nonce", its.nonce}, {"Location", its.location}, {"Retry-After", its.retry_after}};
  for (const auto& [known_name, value] : known) {
    if (EqualsIgnoreCase(name, known_name)) value = Trimmed(line.substr(colon + 1));
  }
  return size;
}

template <typename Value>
void Set(void* easy, CURLoption option, Value value) {
  CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

}  // namespace

Result<std::unique_ptr<CurlTransport>> CurlTransport::New(Options options) {
  const Error failed{Blame::kSystem, Retry::kNever, 0, "libcurl cannot be started"};
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return failed;
  std::unique_ptr<CurlTransport> made(new CurlTransport(std::move(options)));
  made->multi_ = curl_multi_init();
  made->easy_ = curl_easy_init();
  made->fields_ = curl_slist_append(nullptr, "Content-Type: application/jose+json");
  if (made->multi_ == nullptr || made->easy_ == nullptr || made->fields_ == nullptr) return failed;
  return made;
}

CurlTransport::~CurlTransport() {
  curl_easy_cleanup(easy_);
  curl_multi_cleanup(multi_);
  curl_slist_free_all(static_cast<curl_slist*>(fields_));
}

void CurlTransport::Prepare(const HttpRequest& request, HttpAnswer& answer) {
  curl_easy_reset(easy_);  // its connections stay
  error_.assign(CURL_ERROR_SIZE, '\0');
  Set(easy_, CURLOPT_ERRORBUFFER, error_.data());
  Set(easy_, CURLOPT_URL, request.url.c_str());
  Set(easy_, CURLOPT_PROTOCOLS_STR, "https");
  Set(easy_, CURLOPT_NOSIGNAL, 1L);
  Set(easy_, CURLOPT_USERAGENT, options_.agent.c_str());
  Set(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(Milliseconds(kAskTimeout)));
  Set(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(Milliseconds(kConnectTimeout)));
  if (!options_.ca_file.empty()) Set(easy_, CURLOPT_CAINFO, options_.ca_file.c_str());
  Set(easy_, CURLOPT_WRITEFUNCTION, &TakeBody);
  Set(easy_, CURLOPT_WRITEDATA, &answer);
  Set(easy_, CURLOPT_HEADERFUNCTION, &TakeField);
  Set(easy_, CURLOPT_HEADERDATA, &answer);
  if (request.method == HttpRequest::Method::kHead) Set(easy_, CURLOPT_NOBODY, 1L);
  if (request.method != HttpRequest::Method::kPost) return;
  Set(easy_, CURLOPT_HTTPHEADER, static_cast<curl_slist*>(fields_));
  Set(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  Set(easy_, CURLOPT_POSTFIELDS, request.body.c_str());
}

Result<HttpAnswer> CurlTransport::Ask(const HttpRequest& request) {
  HttpAnswer answer;
  Prepare(request, answer);
  CHECK(curl_multi_add_handle(multi_, easy_) == CURLM_OK);
  const auto performed = Perform();
  curl_multi_remove_handle(multi_, easy_);
  if (!performed.ok()) return performed.error();
  const auto code = static_cast<CURLcode>(performed.value());
  if (code != CURLE_OK) {
    const char* text = error_[0] != '\0' ? error_.c_str() : curl_easy_strerror(code);
    return Error{Blame::kSystem, Retry::kYes, 0, fmt::format("{}: {}", request.url, text)};
  }
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  return answer;
}

Result<int> CurlTransport::Perform() {
  for (;;) {
    int running = 0;
    CHECK(curl_multi_perform(multi_, &running) == CURLM_OK);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg == CURLMSG_DONE) return static_cast<int>(message->data.result);
    }
    (void)Poll(kHeartbeat);
    if (ended_) return Error{Blame::kSystem, Retry::kYes, 0, "we are to end"};
  }
}

void CurlTransport::Wait(Duration duration) {
  for (Duration left = duration; left > Duration() && !ended_; left -= kHeartbeat) {
    if (Poll(std::min(left, kHeartbeat))) return;
  }
}

// Whether somebody spoke.
bool CurlTransport::Poll(Duration timeout) {
  curl_waitfd speaker{options_.interrupt.get(), CURL_WAIT_POLLIN, 0};
  CHECK(curl_multi_poll(multi_, &speaker, 1, Milliseconds(timeout), nullptr) == CURLM_OK);
  ended_ = ended_ || !options_.listen();
  return speaker.revents != 0;
}

}  // namespace onebox::acme
