#pragma once
// The certificates that the front shows: read, checked, and read again when their files change.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "front/settings.h"
#include "os/folder.h"
#include "telemetry/log.h"
#include "tls/certificate.h"
#include "tls/server_context.h"

namespace onebox::front {

// One thread calls Load() and Refresh(), any may call the others.
class CertificateStore {
 public:
  CertificateStore(const TlsSettings& settings, telemetry::Log& log);

  // What the box was configured with, which was checked then.
  Status Load(WallTime now);
  // What has changed since, once a second: a file that is of no use is told of, and the certificate of
  // before serves on. Handshakes from then on see what is new.
  void Refresh(WallTime now);

  std::shared_ptr<const tls::ServerContext> current() const;
  // For /metrics: until when each is valid.
  std::string Exposition() const;

 private:
  using Facts = std::array<std::optional<os::FileFacts>, 3>;  // chain, key, staple
  using Made = Result<std::shared_ptr<const tls::Certificate>>;
  struct Entry {
    CertificateFiles files;
    Facts
        taken;  // of what was read last; none at first: it may have changed since the box was configured
    Facts seen;  // a second ago: what is being written is left alone
    std::shared_ptr<const tls::Certificate> certificate;  // null: none of use yet
    int warned_days = 0;                                  // the last of the warnings before its end
  };

  static Facts FactsOf(const CertificateFiles& files);
  bool Reread(Entry& entry, WallTime now);
  bool FindAcme();
  Made Make(const CertificateFiles& files, WallTime now);
  Status Rebuild(WallTime now);
  void WarnOfEnds(WallTime now);

  const TlsSettings& settings_;
  telemetry::Log& log_;
  std::vector<std::unique_ptr<Entry>> configured_;
  std::map<std::string, std::unique_ptr<Entry>> acme_;  // by folder
  std::shared_ptr<const tls::Certificate> placeholder_;
  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<const tls::ServerContext> current_;
  std::string exposition_;
};

// Reads what the paths name into `files`.
Status ReadCertificateFiles(CertificateFiles& files);

// The certificate that proves to an authority who holds `name`; null where there is none.
std::shared_ptr<const tls::Certificate> ReadChallenge(const std::string& acme_folder,
                                                      const std::string& name);

// What is answered to who asks for a token of http-01 (RFC 8555 8.3); nothing where there is none.
std::optional<std::string> ReadToken(const std::string& acme_folder, std::string_view token);

}  // namespace onebox::front
