#include "acme/issuer.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "acme/base64url.h"
#include "acme/name.h"
#include "base/json.h"

namespace onebox::acme {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPollPauseMin = milliseconds(250);
constexpr Duration kPollPauseMax = seconds(10);  // what a server asks for is kept up to here
constexpr std::size_t kAuthorizationsMax = 10;   // of one name there is one

std::string StatusOf(const json& object) {
  return Text(At(object, "status"));
}

// The challenge of that kind which the authorization offers; null where it does not.
const json& Find(const json& authorization, Challenge challenge) {
  static const json missing;
  const json& offered = At(authorization, "challenges");
  if (!offered.is_array()) return missing;
  const auto found = std::find_if(offered.begin(), offered.end(), [&](const json& one) {
    return Text(At(one, "type")) == NameOf(challenge);
  });
  return found == offered.end() ? missing : *found;
}

}  // namespace

std::string MadeFor(const Settings& settings) {
  return fmt::format("{} {}", settings.directory, settings.key == KeyKind::kRsa ? "rsa" : "ecdsa");
}

Result<Issued> Issuer::Obtain(const std::string& name, Challenge challenge) {
  Order order = TRY(Begin(name));
  auto issued = Complete(order, challenge);
  // Where nothing was answered the order may go on, and with it what counts against our limits.
  const bool may_go_on = !issued.ok() && client().problem().kind == "noAnswer";
  if (!issued.ok() && !may_go_on) outside_.store.ForgetOrder(name);
  return issued;
}

Result<Issued> Issuer::Complete(Order& order, Challenge challenge) {
  if (StatusOf(order.json) == "pending") {
    TRY(Authorize(order, challenge));
    order.json = TRY(Await(order.url, {"pending"}));
  }
  if (StatusOf(order.json) == "ready") TRY(Finalize(order));
  if (StatusOf(order.json) == "processing") order.json = TRY(Await(order.url, {"processing"}));
  return Download(order);
}

// --- the order

Result<Issuer::Order> Issuer::Begin(const std::string& name) {
  if (auto taken_up = TRY(TakeUp(name))) return std::move(*taken_up);
  Key key = TRY(Key::New(outside_.settings.key));
  Client::Answer answer = TRY(client().NewOrder(name));
  PendingOrder pending{MadeFor(outside_.settings), answer.location, std::move(key)};
  if (const Status saved = outside_.store.SaveOrder(name, pending); !saved.ok()) {
    return client().Fail("disk", saved.error().message);
  }
  return Order{name, std::move(pending.url), std::move(answer.json), std::move(pending.key)};
}

// One that we have left, if the server knows it and it can still become a certificate.
Result<std::optional<Issuer::Order>> Issuer::TakeUp(const std::string& name) {
  auto left = outside_.store.ReadOrder(name);
  if (!left) return std::optional<Order>();
  auto answer = left->made_for == MadeFor(outside_.settings)
                    ? client().PostAsGet(left->url)
                    : Result<Client::Answer>(Client::Answer{});
  if (!answer.ok() && client().problem().kind == "noAnswer") return answer.error();
  const std::string status = answer.ok() ? StatusOf(answer.value().json) : "";
  if (status.empty() || status == "invalid") {
    outside_.store.ForgetOrder(name);
    return std::optional<Order>();
  }
  return std::optional(
      Order{name, std::move(left->url), std::move(answer).value().json, std::move(left->key)});
}

// --- that the name is ours

Status Issuer::Authorize(const Order& order, Challenge challenge) {
  const json& urls = At(order.json, "authorizations");
  if (!urls.is_array() || urls.empty() || urls.size() > kAuthorizationsMax) {
    return client().Fail("protocol", "the order has no authorizations that we could give");
  }
  for (const json& url : urls) {
    TRY(Authorize(order.name, Text(url), challenge));
  }
  return Done();
}

Status Issuer::Authorize(const std::string& name, const std::string& url, Challenge challenge) {
  const Client::Answer authorization = TRY(client().PostAsGet(url));
  const std::string status = StatusOf(authorization.json);
  if (status == "valid") return Done();  // from an order before
  if (status != "pending") {
    return client().Fail("authorization",
                         fmt::format("the authorization for {} is {}", name, status));
  }
  const json& offered = Find(authorization.json, challenge);
  if (!IsToken(Text(At(offered, "token")))) {
    return client().Fail("challenge",
                         fmt::format("the authority offers no {} for {}", NameOf(challenge), name));
  }
  const std::string token = Text(At(offered, "token"));
  TRY(Publish(name, token, challenge));
  const auto judge = [&]() -> Result<json> {
    // One that we have answered before we were interrupted is not answered again.
    if (StatusOf(offered) == "pending") {
      TRY(client().Post(Text(At(offered, "url")), json::object()));
    }
    return Await(url, {"pending"});
  };
  auto judged = judge();
  Withdraw(name, token, challenge);
  const json result = TRY(std::move(judged));
  if (StatusOf(result) == "valid") return Done();
  return client().FailBy(At(Find(result, challenge), "error"),
                         fmt::format("{} of {} was not accepted", NameOf(challenge), name),
                         {});
}

Status Issuer::Publish(const std::string& name, const std::string& token, Challenge challenge) {
  const std::string authorization = client().KeyAuthorization(token);
  const auto publish = [&]() -> Status {
    if (challenge == Challenge::kHttp01) return outside_.store.PublishHttp(token, authorization);
    const Key key = TRY(Key::New(KeyKind::kEcdsa));
    const std::string certificate =
        TRY(MakeChallengeCertificate(name, authorization, key, outside_.clock.WallNow()));
    return outside_.store.PublishAlpn(name, certificate + key.Pem());
  };
  const Status published = publish();
  return published.ok() ? Done() : Status(client().Fail("disk", published.error().message));
}

void Issuer::Withdraw(const std::string& name, const std::string& token, Challenge challenge) {
  if (challenge == Challenge::kHttp01) return outside_.store.WithdrawHttp(token);
  outside_.store.WithdrawAlpn(name);
}

// --- the certificate

Status Issuer::Finalize(Order& order) {
  const std::string request = TRY(MakeRequest(order.name, order.key));
  Client::Answer answer =
      TRY(client().Post(Text(At(order.json, "finalize")), {{"csr", ToBase64Url(request)}}));
  order.json = std::move(answer.json);
  return Done();
}

Result<Issued> Issuer::Download(Order& order) {
  if (StatusOf(order.json) != "valid") {
    const json& error = At(order.json, "error");
    const std::string what =
        fmt::format("the order for {} is {}", order.name, StatusOf(order.json));
    return error.is_object() ? client().FailBy(error, what, {}) : client().Fail("order", what);
  }
  Client::Answer answer = TRY(client().PostAsGet(Text(At(order.json, "certificate"))));
  const auto check = [&]() -> Result<Facts> {
    Facts facts = TRY(CheckChain(answer.body, order.name, order.key));
    TRY(CheckTime(facts, order.name, outside_.clock.WallNow()));
    return facts;
  };
  auto facts = check();
  if (!facts.ok()) return client().Fail("badCertificate", facts.error().message);
  return Issued{std::move(answer.body), std::move(facts).value(), std::move(order.key)};
}

// --- time

Result<json> Issuer::Await(const std::string& url, std::initializer_list<const char*> statuses) {
  const Time give_up_at = outside_.clock.Now() + kAuthorityTimeout;
  for (Duration pause = kPollPauseMin;; pause = std::min(pause * 2, kPollPauseMax)) {
    Client::Answer answer = TRY(client().PostAsGet(url));
    const std::string status = StatusOf(answer.json);
    const bool still = std::find(statuses.begin(), statuses.end(), status) != statuses.end();
    if (!still) return std::move(answer.json);
    const Time next = outside_.clock.Now() + std::clamp(answer.retry_after, pause, kPollPauseMax);
    if (next > give_up_at) {
      return client().Fail("timeout", fmt::format("{} is {} for too long", url, status));
    }
    WaitUntil(next);
  }
}

void Issuer::WaitUntil(Time time) {
  while (!outside_.transport.ended()) {
    const Duration left = time - outside_.clock.Now();
    if (left <= Duration()) return;
    outside_.transport.Wait(left);
  }
}

}  // namespace onebox::acme
