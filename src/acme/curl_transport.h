#pragma once
// CurlTransport: asks by HTTPS, through libcurl, and hears meanwhile what we are told.

#include <functional>
#include <memory>
#include <string>

#include "acme/transport.h"
#include "os/fd.h"

namespace onebox::acme {

inline constexpr Duration kAskTimeout = std::chrono::seconds(30);      // for the whole of an answer
inline constexpr Duration kConnectTimeout = std::chrono::seconds(10);  // within that, with TLS

// Certificates are checked, other schemes and redirections refused; https_proxy and no_proxy of the environment
// hold. Made in a process of its own: libcurl's resolver has threads.
class CurlTransport final : public Transport {
 public:
  struct Options {
    std::string ca_file;  // in PEM; empty: the system's
    std::string agent;
    // What is readable when somebody speaks to us; it outlives the transport.
    const os::Fd& interrupt;
    // Called at least every kHeartbeat, and when `interrupt` is readable. False: we are to end. True: go on.
    std::function<bool()> listen;
  };
  static Result<std::unique_ptr<CurlTransport>> New(Options options);
  ~CurlTransport() override;
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  Result<HttpAnswer> Ask(const HttpRequest& request) override;
  void Wait(Duration duration) override;
  bool ended() const override { return ended_; }

 private:
  explicit CurlTransport(Options options) : options_(std::move(options)) {}

  void Prepare(const HttpRequest& request, HttpAnswer& answer);
  Result<int> Perform();  // CURLcode
  bool Poll(Duration timeout);

  const Options options_;
  void* multi_ = nullptr;  // CURLM, CURL: their header is for the source alone
  void* easy_ = nullptr;
  void* fields_ = nullptr;  // curl_slist
  std::string error_;
  bool ended_ = false;
};

inline constexpr Duration kHeartbeat = std::chrono::seconds(5);

}  // namespace onebox::acme
