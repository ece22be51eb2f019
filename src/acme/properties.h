#pragma once
// What holds whatever an authority says: for the fuzz target, and its inputs as tests.

#include <string>
#include <string_view>

#include "acme/issuer.h"
#include "acme/name.h"
#include "base/ascii.h"
#include "base/check.h"
#include "os/testing.h"

namespace onebox::acme::properties {

// Answers from a text, one after the other; an empty line ends one, which is
//   STATUS NONCE LOCATION RETRY-AFTER
//   the body
class WrittenAnswers final : public Transport {
 public:
  WrittenAnswers(std::string_view text, FakeClock& clock) : text_(text), clock_(clock) {}

  Result<HttpAnswer> Ask(const HttpRequest& request) override {
    CHECK(request.url.starts_with("https://"));
    if (text_.empty()) return Error{Blame::kSystem, Retry::kYes, 0, "nothing is left"};
    std::string_view one = TakeUntil(text_, "\n\n");
    std::string_view head = TakeUntil(one, "\n");
    HttpAnswer answer;
    answer.status = static_cast<int>(ParseDecimal(TakeUntil(head, " "), 999).value_or(0));
    answer.nonce = TakeUntil(head, " ");
    answer.location = TakeUntil(head, " ");
    answer.retry_after = head;
    answer.body = one;
    return answer;
  }
  void Wait(Duration duration) override {
    CHECK(duration > Duration() && duration <= kAuthorityTimeout);
    clock_.Advance(duration);
  }
  bool ended() const override { return false; }

 private:
  static std::string_view TakeUntil(std::string_view& text, std::string_view end) {
    const std::size_t at = text.find(end);
    const std::string_view taken = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
    return taken;
  }

  std::string_view text_;
  FakeClock& clock_;
};

// It ends, says what was wrong in a word, and leaves no challenge behind; nothing it says is used as a path.
inline void CheckConversation(std::string_view text) {
  static const os::TemporaryFolder folder("acme-fuzz");
  static const Store store(folder.path());
  static const Key account = [] {
    CHECK(store.Prepare().ok());
    return store.AccountKey().value();
  }();
  FakeClock clock;
  WrittenAnswers answers(text, clock);
  Settings settings;
  settings.directory = "https://ca.test/directory";
  Client client(answers, clock, settings);
  const auto converse = [&]() -> Result<Issued> {
    TRY(client.Open(account));
    Issuer issuer({client, answers, clock, settings, store});
    return issuer.Obtain("game.example", Challenge::kHttp01);
  };
  const auto issued = converse();
  store.ForgetOrder("game.example");
  CHECK(!issued.ok());  // nobody can sign for a key that is made anew each time
  CHECK(!client.problem().kind.empty() && client.problem().kind.size() <= 40);
  CHECK(client.problem().retry_after <= kRetryAfterMax);
  CHECK(std::filesystem::is_empty(folder.path() + "/http"));
}

}  // namespace onebox::acme::properties
