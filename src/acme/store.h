#pragma once
// Store: what is kept of accounts, orders and certificates, as files below DATA/acme.
//
//   account.pem                      the account's key
//   certificates/NAME/fullchain.pem  what is served for NAME; both change at once, as a folder that
//   certificates/NAME/key.pem        takes the place of the one before
//   orders/NAME/order.json, key.pem  an order that is under way, and the key that its certificate will be of
//   state/NAME.json                  when it is renewed, what has failed
//   http/TOKEN                       answers to http-01, for as long as they are asked for
//   alpn/NAME.pem                    the same for tls-alpn-01: certificate and key
//
// All is the owner's alone. Whoever is killed at whatever point leaves the whole of each file, or none of it.

#include <cstdint>
#include <optional>
#include <string>

#include "acme/certificate.h"
#include "acme/key.h"
#include "acme/settings.h"
#include "base/clock.h"
#include "base/result.h"

namespace onebox::acme {

// An order that may be taken up again.
struct PendingOrder {
  std::string made_for;  // as NameState has it
  std::string url;
  Key key;
};

// What is remembered of a name beside its certificate.
struct NameState {
  std::string made_for;  // the directory, and the kind of key, of the certificate that is there
  WallTime renew_at{};   // of that one; the epoch: not known
  std::uint64_t attempts = 0;  // so far
  WallTime attempted_at{};     // the last one
  unsigned failures = 0;       // in a row
  unsigned refusals = 0;       // of them, of a challenge: the name was not found to be ours
  WallTime next_attempt{};     // where failures > 0: not before
  std::string error_kind;      // of the last one, as Problem has it; empty: it has not failed
  std::string error;
};

// A certificate that is there and fits its key.
struct Kept {
  std::string chain;
  Facts facts;
};

class Store {
 public:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}

  // Makes the folders, and removes answers to challenges that nobody waits for any more. REQUIRES: nobody
  // else works there (see lock_path()).
  Status Prepare() const;
  std::string lock_path() const { return folder_ + "/lock"; }

  // The account's key, made where there is none. One that cannot be read is an Error: it may be the
  // operator's only one.
  Result<Key> AccountKey() const;
  // The authority will not have it any more: the file gets another name, and the next one is new.
  Status SetAccountAside() const;

  Status SaveCertificate(const std::string& name, const std::string& chain, const Key& key) const;
  // Nothing where there is none that fits its key and its name. One that has expired is still there: it may
  // be the clock that is wrong.
  std::optional<Kept> ReadCertificate(const std::string& name) const;

  Status SaveOrder(const std::string& name, const PendingOrder& order) const;
  std::optional<PendingOrder> ReadOrder(const std::string& name) const;
  void ForgetOrder(const std::string& name) const;

  Status SaveState(const std::string& name, const NameState& state) const;
  NameState ReadState(const std::string& name) const;  // an empty one where there is none

  // REQUIRES: IsToken(token).
  Status PublishHttp(const std::string& token, const std::string& key_authorization) const;
  Status PublishAlpn(const std::string& name, const std::string& pem) const;
  void WithdrawHttp(const std::string& token) const;
  void WithdrawAlpn(const std::string& name) const;

 private:
  std::string At(std::string_view rest) const { return folder_ + '/' + std::string(rest); }

  std::string folder_;
};

}  // namespace onebox::acme
