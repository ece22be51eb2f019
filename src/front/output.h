#pragma once
// An answer's bytes on their way to one client: memory first, then a file.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "front/body.h"
#include "front/budget.h"
#include "front/responder.h"
#include "front/transport.h"
#include "limits/gate.h"
#include "limits/pacer.h"
#include "os/fd.h"

namespace onebox::front {

// What the client cannot take at once waits here. Bytes leave in the order in which they came:
// memory, what memory could not hold, and then pieces or a file.
class Output {
 public:
  struct Room {
    std::uint64_t memory_max;   // of this answer; above it the file
    const std::string& folder;  // outlives the output
  };
  Output(Budget& budget, const Room& room, Time since)
      : budget_(budget), room_(room), since_(since) {}
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // False where neither memory nor disk had room: the answer cannot be completed.
  bool Append(std::string_view bytes);
  // The last of it, one of both: cached or mapped pieces, or `size` bytes of `file` from `offset`,
  // read as they leave.
  void AppendPieces(Body pieces);
  void AppendFile(os::Fd file, std::uint64_t offset, std::uint64_t size);

  enum class Wrote : unsigned char {
    kAll,   // nothing is left
    kSome,  // the socket is full
    kGone,  // the client has left, or the file was cut short
  };
  Wrote WriteTo(Transport& transport, Time now);
  // Appends the next `bytes` of what is pending to `out`; false where a file was cut short.
  bool MoveTo(std::string& out, std::uint64_t bytes);

  // How fast it may leave from now on.
  void SetPace(const limits::Pace& pace, Time now) { pacer_.emplace(pace, now); }
  bool paced() const { return pacer_.has_value(); }
  // How many bytes the pace lets leave now.
  std::uint64_t Allowance(Time now);
  // With a pace: when WriteTo() is to be called again; Time::max() where not time is what it waits for.
  Time ready() const { return held_back_ ? pacer_->Ready() : Time::max(); }
  // Something has to wait again, after nothing did.
  void Restart(Time now);

  // What the access log is told when all has left, or never will.
  void KeepRecord(AnswerRecord record) {
    record_ = std::make_unique<AnswerRecord>(std::move(record));
  }
  std::unique_ptr<AnswerRecord> TakeRecord() { return std::move(record_); }

  // Given back with this.
  void Hold(limits::Passage passage) { passage_ = std::move(passage); }

  std::uint64_t pending() const;  // bytes that wait
  std::uint64_t sent() const { return sent_; }
  Time since() const { return since_; }  // when the first byte had to wait

 private:
  struct FilePart {
    os::Fd file;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t freed = 0;  // before it the disk has nothing any more

    std::uint64_t size() const { return end - begin; }
  };

  void Compact();
  bool Spill(std::string_view bytes);
  bool Refill(FilePart& part);
  void Leave(FilePart& part, std::uint64_t bytes);
  bool MoveSome(std::string& out, std::uint64_t& bytes);
  Wrote WriteOnce(Transport& transport, Time now);
  os::Moved SendPart(Transport& transport, std::uint64_t bytes_max);
  void Advance(std::uint64_t bytes);

  Budget& budget_;
  const Room room_;
  Time since_;
  std::string memory_;
  std::uint64_t memory_begin_ = 0;  // what has left of memory_
  std::uint64_t charged_ = 0;       // of the budget
  FilePart spill_;                  // ours
  FilePart last_;                   // the app's
  Body pieces_;
  std::unique_ptr<AnswerRecord> record_;
  limits::Passage passage_;
  std::uint64_t sent_ = 0;
  std::optional<limits::Pacer> pacer_;
  bool held_back_ = false;  // by its pace
};

}  // namespace onebox::front
