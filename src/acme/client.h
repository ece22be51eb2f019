#pragma once
// Client: signed questions to an ACME server (RFC 8555): its directory, nonces, our account.

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "acme/key.h"
#include "acme/settings.h"
#include "acme/transport.h"
#include "base/clock.h"
#include "base/result.h"

namespace onebox::acme {

// Why the last question had no good answer.
struct Problem {
  // A word for a metric: "noAnswer", "protocol" (an answer that is none of ACME), or what the server calls it,
  // without "urn:ietf:params:acme:error:": "rateLimited", "dns", "unauthorized" ...
  // "other" is none of these.
  std::string kind = "other";
  Duration retry_after{};  // the server asks for as much, at most kRetryAfterMax; 0: it does not
};

inline constexpr Duration kRetryAfterMax = std::chrono::hours(24 * 7);

// What Retry-After says (RFC 9110 section 10.2.3), from 0 to kRetryAfterMax; 0 where it says nothing.
Duration ParseRetryAfter(std::string_view text, WallTime now);

// It outlives no Transport. One conversation, from Open() on; when anything in it fails, the next begins anew
// with another Client.
class Client {
 public:
  struct Answer {
    int status = 0;       // 2xx
    nlohmann::json json;  // null where the body is none
    std::string body;
    std::string location;  // a URL, or empty
    Duration retry_after{};
  };

  Client(Transport& transport, const Clock& clock, const Settings& settings)
      : transport_(transport), clock_(clock), settings_(settings) {}

  // Reads the directory, and finds the account of this key or makes one. REQUIRES: key.IsP256(); it
  // outlives the client.
  Status Open(const Key& account);

  Result<Answer> NewOrder(const std::string& name);
  // A question of our account's.
  Result<Answer> Post(const std::string& url, const nlohmann::json& payload);
  Result<Answer> PostAsGet(const std::string& url);

  // What answers a challenge with this token (RFC 8555 section 8.1).
  std::string KeyAuthorization(std::string_view token) const;

  // Where the terms are that the authority has; empty where it has none.
  const std::string& terms() const { return terms_; }
  const std::string& account_url() const { return account_url_; }
  bool account_is_new() const { return account_is_new_; }

  // After an Error of the client's.
  const Problem& problem() const { return problem_; }
  // An Error of ours that is about what the server has said.
  Error Fail(std::string kind, std::string message, Duration retry_after = {});
  // What a problem document says, as it also stands within an authorization (RFC 7807).
  Error FailBy(const nlohmann::json& document, std::string_view while_what, Duration retry_after);

 private:
  Status ReadDirectory();
  Status Register();
  Status UpdateContact(const nlohmann::json& account);
  nlohmann::json Contact() const;
  Result<std::string> TakeNonce();
  Result<Answer> PostSigned(const std::string& url, const std::string& payload);
  Result<HttpAnswer> Ask(const HttpRequest& request);
  Answer Read(HttpAnswer answer) const;

  Transport& transport_;
  const Clock& clock_;
  const Settings& settings_;
  const Key* account_ = nullptr;
  std::string new_nonce_, new_account_, new_order_;  // URLs of the directory
  std::string terms_;
  bool external_required_ = false;
  std::string account_url_;  // empty: the key itself is sent
  bool account_is_new_ = false;
  std::string nonce_;  // that has not been used; may be empty
  Problem problem_;
};

}  // namespace onebox::acme
