#pragma once
// Issuer: one certificate, from the order to the chain (RFC 8555 section 7.4).

#include <initializer_list>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "acme/certificate.h"
#include "acme/client.h"
#include "acme/key.h"
#include "acme/settings.h"
#include "acme/store.h"
#include "acme/transport.h"
#include "base/clock.h"
#include "base/result.h"

namespace onebox::acme {

inline constexpr Duration kAuthorityTimeout =
    std::chrono::minutes(5);  // for it to come to a conclusion

// What a certificate was made for, as NameState keeps it: another directory or kind of key wants another.
std::string MadeFor(const Settings& settings);

struct Issued {
  std::string chain;  // in PEM, checked
  Facts facts;
  Key key;
};

// All of them outlive it.
class Issuer {
 public:
  struct Outside {
    Client& client;  // open
    Transport& transport;
    const Clock& clock;
    const Settings& settings;
    const Store& store;
  };
  explicit Issuer(const Outside& outside) : outside_(outside) {}

  // Takes up the order of before, where it was left in the middle; leaves the one of now where the server
  // did not answer, and forgets it where it has refused. After an Error the client has the problem.
  Result<Issued> Obtain(const std::string& name, Challenge challenge);

 private:
  struct Order {
    std::string name, url;
    nlohmann::json json;
    Key key;
  };

  Result<Issued> Complete(Order& order, Challenge challenge);
  Result<Order> Begin(const std::string& name);
  Result<std::optional<Order>> TakeUp(const std::string& name);
  Status Authorize(const Order& order, Challenge challenge);
  Status Authorize(const std::string& name, const std::string& url, Challenge challenge);
  Status Publish(const std::string& name, const std::string& token, Challenge challenge);
  void Withdraw(const std::string& name, const std::string& token, Challenge challenge);
  Status Finalize(Order& order);
  Result<Issued> Download(Order& order);
  // Asks until its status is another than these; the last answer.
  Result<nlohmann::json> Await(const std::string& url, std::initializer_list<const char*> statuses);
  void WaitUntil(Time time);
  Client& client() { return outside_.client; }

  const Outside outside_;
};

}  // namespace onebox::acme
