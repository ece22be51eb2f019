#pragma once
// A client's connection that speaks HTTP/2: many requests at once, each a stream.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "front/client_connection.h"
#include "front/http2_stream.h"
#include "http2/session.h"

namespace onebox::front {

// Nothing is written where it is said: what a turn has to say leaves at its end, in one piece. So nobody
// who answers is called back by what he calls.
class Http2Connection final : public ClientConnection, public http2::Owner {
 public:
  Http2Connection(Shard& shard, Transport transport, const Peer& peer);
  ~Http2Connection() override;

  // What was read of it by whoever saw that it is HTTP/2.
  void TakeOver(std::string_view bytes);
  void Pump() override;
  void Drain() override;
  void DrainGently() override { Drain(); }
  void ShowBroken() override;

  // --- for its streams
  Shard& shard() { return shard_; }
  http2::Session& session() { return session_; }
  const tls::Session* tls() const { return transport_.session(); }
  // There is something to write, or to go on with.
  void GoOn();
  // The last request that it takes, where the box drains or it was enough.
  void DrainIfDue();
  void Remove(Http2Stream& stream);

 private:
  void OnReady(std::uint32_t events) override;
  void OnTimer() override;

  http2::Stream* OnRequest(const http2::Request& request) override;
  void OnFlood(http2::Flood flood) override;
  void OnStreamsMax() override;
  void OnBreach() override;

  // Whether there is more, for another turn.
  bool Read();
  void Feed(std::string_view bytes);
  bool Write();
  bool WriteOnce();
  bool Keep(std::string_view rest);
  void DropRest();
  void TellStreams();
  void Linger();
  void Close() override;
  Time Deadline() const;
  void ArmTimer();

  http2::Session session_;
  std::vector<std::unique_ptr<Http2Stream>> streams_;
  std::string rest_;               // what the socket did not take
  std::size_t rest_begin_ = 0;     // what of it has left since
  std::size_t rest_held_ = 0;      // bytes of the budget
  Time idle_since_;                // no stream since then; the begin of lingering
  Time progress_;                  // when the socket took something
  Time drain_since_{};             // when the client was told
  Time head_since_ = Time::max();  // a head is on its way since then
  bool goes_on_ = false;           // at this turn's end
  bool lingering_ = false;
  bool peer_done_ = false;  // a FIN came: an end of the input waits to be read
  bool told_ = false;       // that it takes no more requests, and which was the last
  bool enough_ = false;     // requests_per_connection_max was met
};

}  // namespace onebox::front
