#pragma once
// What a request asks of the cache: its key, and the request that the app is asked with instead.

#include <cstdint>
#include <string>
#include <string_view>

#include "http/forwarded.h"
#include "http/path.h"
#include "http/request_head.h"
#include "http/reuse.h"
#include "webcache/answer.h"
#include "webcache/key.h"
#include "webcache/rules.h"

namespace onebox::webcache {

// Why the cache is not asked; the app is, as if there were none.
enum class Bypass : std::uint8_t {
  kNo,
  kMethod,    // neither GET nor HEAD
  kBody,      // it has one, or wants to become another protocol
  kCookie,    // one that the route does not name
  kSpelling,  // a path that is not in its usual form: others would be kept under another name
};
inline constexpr std::array<std::string_view, 5> kBypassNames = {"no",
                                                                 "method",
                                                                 "body",
                                                                 "cookie",
                                                                 "spelling"};

// Made anew for each request; the memory is kept. Views are into the head.
class Question {
 public:
  // `origin` says which scheme and host the app is told, and `path` is that of the head.
  void Read(const http::RequestHead& head,
            const http::NormalPath& path,
            const http::Origin& origin,
            const Rules& rules);

  Bypass bypass() const { return bypass_; }
  const Key& key() const { return key_; }
  const http::AskedWith& asked() const { return asked_; }
  // Something was taken out that the app would have seen; not for a cookie where there is none left.
  bool strips() const { return strips_; }

  // The head of a GET that an answer for all is made from: without what the key does not hold, without
  // conditions and ranges, which the cache answers itself, and, where `code` says so, without
  // Accept-Encoding. Where `known` is not null it asks whether that is still right. `head` is the one that was read.
  enum class Coded : std::uint8_t { kByApp, kByUs };
  void AppendFetchHead(std::string& out,
                       const http::RequestHead& head,
                       Coded coded,
                       const Answer* known) const;

 private:
  bool TakeCookies(const http::RequestHead& head, const Rules& rules);
  void TakeTarget(const http::RequestHead& head, const Rules& rules);

  Key key_;
  http::AskedWith asked_;
  std::string cookies_;  // that are left
  Bypass bypass_ = Bypass::kNo;
  bool strips_ = false;
};

}  // namespace onebox::webcache
