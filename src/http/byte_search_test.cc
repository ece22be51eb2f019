#include "http/byte_search.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

// Every byte, at every place of texts around the sizes at which the search changes its stride.
template <typename Kind>
void FindsWhatTheTableSays() {
  for (const std::size_t size : {1U, 15U, 16U, 17U, 31U, 33U, 63U, 64U, 65U, 80U, 130U}) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      for (std::size_t at = 0; at < size; ++at) {
        std::string text(size, 'a');
        text[at] = c;
        const std::size_t expected = Kind::Holds(c) ? at : size;
        ASSERT_EQ(Find<Kind>(text, 0), expected) << byte << " at " << at << " of " << size;
        ASSERT_EQ(Find<Kind>(text, at + 1), size);
        Finder<Kind> finder(text, 0);
        ASSERT_EQ(finder.Next(), expected) << byte << " at " << at << " of " << size;
        ASSERT_EQ(finder.Next(), size);
      }
    }
  }
}

TEST(ByteSearch, FindsControlCharacters) {
  FindsWhatTheTableSays<ControlByte>();
}
TEST(ByteSearch, FindsTheEndOfATarget) {
  FindsWhatTheTableSays<NonTargetByte>();
}
TEST(ByteSearch, FindsTheEndOfAUsualName) {
  FindsWhatTheTableSays<UnusualNameByte>();
}

TEST(ByteSearch, FindsAllOfManyInOrderFromAnyStart) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += i % 7 == 0 || i % 11 == 0 ? '\r' : 'x';
  for (std::size_t from = 0; from <= text.size(); ++from) {
    Finder<ControlByte> finder(text, from);
    for (std::size_t at = from; at <= text.size(); ++at) {
      if (at < text.size() && text[at] != '\r') continue;
      ASSERT_EQ(finder.Next(), at) << "from " << from;
    }
  }
}

}  // namespace
}  // namespace onebox::http
