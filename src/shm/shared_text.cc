#include "shm/shared_text.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"
#include "os/fd.h"

namespace onebox::shm {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::size_t kSequenceWords = 8;  // alone on its cache line
constexpr std::size_t kHeadWords = 2;      // of a place
constexpr int kTries = 10;

std::size_t WordsFor(std::size_t bytes) {
  return (bytes + kWordBytes - 1) / kWordBytes;
}

}  // namespace

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

Result<SharedText> SharedText::Create(const char* name, std::size_t bytes_max) {
  CHECK(bytes_max > 0);
  const std::size_t words = kSequenceWords + 2 * (kHeadWords + WordsFor(bytes_max));
  const os::Fd memory = TRY(os::NewSharedMemory(name, words * kWordBytes));
  return SharedText(TRY(os::Mapping::Share(memory, words * kWordBytes)), bytes_max);
}

// New memory is zero, which is what an atomic number begins as.
SharedText::Word* SharedText::Words() const {
  return std::launder(reinterpret_cast<Word*>(mapping_.data()));
}

SharedText::Place SharedText::PlaceOf(std::uint64_t number) const {
  const std::size_t words = WordsFor(bytes_max_);
  Word* const begin = Words() + kSequenceWords + (number % 2) * (kHeadWords + words);
  return {{begin, kHeadWords}, {begin + kHeadWords, words}};
}

// Each word is stored with release after the number of the text before it, and loaded with acquire before
// that number is looked at again: a reader who has seen one word of a later text sees that number too.
std::size_t SharedText::Write(std::string_view text, Time now) {
  std::string_view whole = text;
  if (whole.size() > bytes_max_) {
    whole = whole.substr(0, whole.rfind('\n', bytes_max_ - 1) + 1);
  }
  const std::uint64_t number = sequence().load(std::memory_order_relaxed) + 1;
  const Place place = PlaceOf(number);
  place.head[0].store(whole.size(), std::memory_order_release);
  place.head[1].store(static_cast<std::uint64_t>(now.time_since_epoch().count()),
                      std::memory_order_release);
  for (std::size_t at = 0; at < whole.size(); at += kWordBytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, whole.data() + at, std::min(kWordBytes, whole.size() - at));
    place.words[at / kWordBytes].store(word, std::memory_order_release);
  }
  sequence().store(number, std::memory_order_release);
  return text.size() - whole.size();
}

std::optional<SharedText::Written> SharedText::Read() const {
  for (int i = 0; i < kTries; ++i) {
    const std::uint64_t number = sequence().load(std::memory_order_acquire);
    if (number == 0) return std::nullopt;
    const Place place = PlaceOf(number);
    const std::size_t size =
        std::min<std::uint64_t>(place.head[0].load(std::memory_order_acquire), bytes_max_);
    const auto at = static_cast<Duration::rep>(place.head[1].load(std::memory_order_acquire));
    Written written{.text = std::string(WordsFor(size) * kWordBytes, '\0'),
                    .at = Time(Duration(at))};
    for (std::size_t i_word = 0; i_word < WordsFor(size); ++i_word) {
      const std::uint64_t word = place.words[i_word].load(std::memory_order_acquire);
      std::memcpy(written.text.data() + i_word * kWordBytes, &word, kWordBytes);
    }
    if (sequence().load(std::memory_order_relaxed) != number) continue;
    written.text.resize(size);
    return written;
  }
  return std::nullopt;
}

}  // namespace onebox::shm
