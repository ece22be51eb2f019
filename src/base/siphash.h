#pragma once
// SipHash-2-4 (Aumasson and Bernstein, 2012): a hash with a secret, so that nobody can choose keys that meet.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace onebox {

static_assert(std::endian::native == std::endian::little, "words are read as they lie");

struct SipKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

// The hash of all that is added, however it is cut.
class SipHash {
 public:
  explicit SipHash(const SipKey& key)
      : a_(key.low ^ 0x736f6d6570736575U),
        b_(key.high ^ 0x646f72616e646f6dU),
        c_(key.low ^ 0x6c7967656e657261U),
        d_(key.high ^ 0x7465646279746573U) {}

  void Add(std::string_view bytes) {
    size_ += bytes.size();
    while (!bytes.empty() && tail_bits_ > 0)
      AddByte(bytes);
    while (bytes.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), 8);
      bytes.remove_prefix(8);
      AddWord(word);
    }
    while (!bytes.empty())
      AddByte(bytes);
  }

  std::uint64_t Finish() {
    AddWord(tail_ | size_ << 56);
    c_ ^= 0xff;
    for (int i = 0; i < 4; ++i)
      Round();
    return a_ ^ b_ ^ c_ ^ d_;
  }

 private:
  void AddByte(std::string_view& bytes) {
    tail_ |= std::uint64_t{static_cast<unsigned char>(bytes.front())} << tail_bits_;
    bytes.remove_prefix(1);
    tail_bits_ += 8;
    if (tail_bits_ < 64) return;
    AddWord(tail_);
    tail_ = 0;
    tail_bits_ = 0;
  }
  void AddWord(std::uint64_t word) {
    d_ ^= word;
    Round();
    Round();
    a_ ^= word;
  }
  void Round() {
    a_ += b_;
    b_ = std::rotl(b_, 13) ^ a_;
    a_ = std::rotl(a_, 32);
    c_ += d_;
    d_ = std::rotl(d_, 16) ^ c_;
    a_ += d_;
    d_ = std::rotl(d_, 21) ^ a_;
    c_ += b_;
    b_ = std::rotl(b_, 17) ^ c_;
    c_ = std::rotl(c_, 32);
  }

  std::uint64_t a_, b_, c_, d_;
  std::uint64_t tail_ = 0;  // bytes that are no whole word yet
  std::uint64_t size_ = 0;
  unsigned tail_bits_ = 0;
};

}  // namespace onebox
