#pragma once
// Finds the first byte of a kind, 16 bytes at a time where the processor can.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "http/characters.h"

namespace onebox::http {

// A kind says the same twice: of one byte, and of 16 at once (0xff where it holds). The test of this
// header compares the two for all bytes.

// Ends a line, or may not be in a head: a control character other than HTAB.
struct ControlByte {
  static bool Holds(char c) { return !Is(kFieldCharacter, c); }
#ifdef __SSE2__
  static __m128i Hold(__m128i bytes) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i controls = _mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
    return _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')), controls);
  }
#endif
};

// Ends a request target, or may not be in one.
struct NonTargetByte {
  static bool Holds(char c) { return !Is(kTargetCharacter, c); }
#ifdef __SSE2__
  static __m128i Hold(__m128i bytes) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x20)), bytes);
    const __m128i others = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
                                        _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')));
    return _mm_or_si128(low, others);
  }
#endif
};

// Not a letter, a digit or "-", of which nearly all field names are made.
struct UnusualNameByte {
  static bool Holds(char c) { return !(IsAlpha(c) || IsDigit(c) || c == '-'); }
#ifdef __SSE2__
  static __m128i Hold(__m128i bytes) {
    const __m128i lowered = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    const __m128i letters = InRange(lowered, 'a', 'z');
    const __m128i digits = InRange(bytes, '0', '9');
    const __m128i usual =
        _mm_or_si128(_mm_or_si128(letters, digits), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
    return _mm_xor_si128(usual, _mm_set1_epi8(-1));
  }
  // Bytes from 0x80 are negative here, so below any ASCII range.
  static __m128i InRange(__m128i bytes, char first, char last) {
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8(static_cast<char>(last + 1))));
  }
#endif
};

namespace byte_search_internal {

#ifdef __SSE2__
// A bit for each of the 16 bytes at `at`; the lowest is the first byte's.
template <typename Kind>
inline std::uint64_t BitsOf16(const char* at) {
  const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  return static_cast<unsigned>(_mm_movemask_epi8(Kind::Hold(sixteen)));
}
#endif

// A bit for each of the `count` bytes at `at`; 64 at most.
template <typename Kind>
inline std::uint64_t BitsOf(const char* at, std::size_t count) {
  std::uint64_t bits = 0;
  std::size_t done = 0;
#ifdef __SSE2__
  for (; done + 16 <= count; done += 16)
    bits |= BitsOf16<Kind>(at + done) << done;
  if (done < count && count >= 16) {  // the last 16 bytes, some of them for the second time
    return bits | BitsOf16<Kind>(at + count - 16) << (count - 16);
  }
#endif
  for (; done < count; ++done) {
    bits |= static_cast<std::uint64_t>(Kind::Holds(at[done]) ? 1 : 0) << done;
  }
  return bits;
}

template <typename Kind>
inline std::uint64_t BitsOf64(const char* at) {
#ifdef __SSE2__
  return BitsOf16<Kind>(at) | BitsOf16<Kind>(at + 16) << 16 | BitsOf16<Kind>(at + 32) << 32 |
         BitsOf16<Kind>(at + 48) << 48;
#else
  return BitsOf<Kind>(at, 64);
#endif
}

}  // namespace byte_search_internal

// Where the first byte of the kind stands, at `from` or after it; bytes.size() where there is none.
// For what is most often near.
template <typename Kind>
inline std::size_t Find(std::string_view bytes, std::size_t from) {
#ifdef __SSE2__
  for (; from + 16 <= bytes.size(); from += 16) {
    const std::uint64_t found = byte_search_internal::BitsOf16<Kind>(bytes.data() + from);
    if (found != 0) return from + static_cast<unsigned>(std::countr_zero(found));
  }
#endif
  while (from < bytes.size() && !Kind::Holds(bytes[from]))
    ++from;
  return from;
}

// All bytes of the kind, one after the other. Where the next one stands does not wait for what is
// done with the last: the processor runs ahead, which makes this the fast way through a head.
template <typename Kind>
class Finder {
 public:
  Finder(std::string_view bytes, std::size_t from)
      : bytes_(bytes), block_(from), next_block_(from) {}

  // bytes.size() after the last one. Always inline: its members then live in registers.
  [[gnu::always_inline]] std::size_t Next() {
    while (bits_ == 0) {
      if (next_block_ == bytes_.size()) return next_block_;
      block_ = next_block_;
      const std::size_t count = std::min(kBlockBytes, bytes_.size() - block_);
      next_block_ += count;
      const char* at = bytes_.data() + block_;
      bits_ = count == kBlockBytes ? byte_search_internal::BitsOf64<Kind>(at)
                                   : byte_search_internal::BitsOf<Kind>(at, count);
    }
    const auto bit = static_cast<unsigned>(std::countr_zero(bits_));
    bits_ &= bits_ - 1;
    return block_ + bit;
  }

 private:
  static constexpr std::size_t kBlockBytes = 64;

  std::string_view bytes_;
  std::size_t block_;
  std::size_t next_block_;
  std::uint64_t bits_ = 0;
};

}  // namespace onebox::http
