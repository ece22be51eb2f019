#include "webcache/store.h"

#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::webcache {
namespace {

using std::chrono::seconds;

constexpr std::string_view kHost = "a.example";

Key KeyOf(std::string_view target, std::string_view host = kHost) {
  Key key;
  key.Begin("https", host);
  key.AppendTarget(target);
  key.EndUrl();
  return key;
}

const http::ParsedHead& AnyHead() {
  static const http::ParsedHead head(http::HeadWith(""));
  return head;
}

std::shared_ptr<Answer> AnswerOf(const Store& store, std::string bytes, Recorded recorded = {}) {
  recorded.bytes = std::make_shared<const std::string>(std::move(bytes));
  recorded.lifetime.fresh = seconds(60);
  recorded.begun = store.purges();
  if (recorded.fields.empty()) recorded.fields = "Content-Type: text/plain\r\n";
  return std::make_shared<Answer>(std::move(recorded));
}

std::string Found(Store& store, const Key& key, const http::ParsedHead& head = AnyHead()) {
  const AnswerRef found = store.Find(key, *head);
  return found == nullptr ? "" : *found->bytes();
}

TEST(Store, GivesBackWhatItWasGiven) {
  Store store({}, 1);
  EXPECT_EQ(Found(store, KeyOf("/")), "");
  ASSERT_TRUE(store.Add(KeyOf("/"), AnswerOf(store, "one")));
  EXPECT_EQ(Found(store, KeyOf("/")), "one");
  EXPECT_EQ(Found(store, KeyOf("/?")), "");
  EXPECT_EQ(Found(store, KeyOf("/", "b.example")), "");
  ASSERT_TRUE(store.Add(KeyOf("/"), AnswerOf(store, "two")));
  EXPECT_EQ(Found(store, KeyOf("/")), "two");
  EXPECT_EQ(store.answers(), 1U);
}

TEST(Store, TellsKeysApartByTheirParts) {
  Store store({}, 1);
  Key german = KeyOf("/");
  german.AppendPart("cookie:country", "de");
  Key french = KeyOf("/");
  french.AppendPart("cookie:country", "fr");
  ASSERT_TRUE(store.Add(german, AnswerOf(store, "Hallo")));
  EXPECT_EQ(Found(store, french), "");
  EXPECT_EQ(Found(store, KeyOf("/")), "");
  EXPECT_EQ(Found(store, german), "Hallo");
}

TEST(Store, KeepsTheVariantsOfAnAnswerApart) {
  Store store({}, 1);
  const http::ParsedHead german(http::HeadWith("Accept-Language: de\r\n"));
  const http::ParsedHead french(http::HeadWith("accept-language: fr\r\n"));
  for (const auto* head : {&german, &french}) {
    Recorded recorded{.vary = {"accept-language"}};
    AppendVaryValues(recorded.vary_values, recorded.vary, **head);
    const std::string bytes = recorded.vary_values;
    ASSERT_TRUE(store.Add(KeyOf("/"), AnswerOf(store, bytes, std::move(recorded))));
  }
  EXPECT_EQ(Found(store, KeyOf("/"), german), "de,\n");
  EXPECT_EQ(Found(store, KeyOf("/"), french), "fr,\n");
  EXPECT_EQ(Found(store, KeyOf("/")), "");
  ASSERT_TRUE(store.Add(KeyOf("/"), AnswerOf(store, "for all")));
  EXPECT_EQ(Found(store, KeyOf("/"), german), "for all");
  EXPECT_EQ(store.answers(), 1U);
}

TEST(Store, KeepsNoMoreVariantsThanItsLimit) {
  Store store({}, 1);
  for (int i = 0; i < 100; ++i) {
    Recorded recorded{.received = Time(seconds(i)), .vary = {"x"}};
    recorded.vary_values = std::to_string(i) + ",\n";
    ASSERT_TRUE(store.Add(KeyOf("/"), AnswerOf(store, "a", std::move(recorded))));
  }
  EXPECT_EQ(store.answers(), kVariantsMax);
  EXPECT_EQ(Found(store, KeyOf("/"), http::ParsedHead(http::HeadWith("x: 99\r\n"))), "a");
  EXPECT_EQ(Found(store, KeyOf("/"), http::ParsedHead(http::HeadWith("x: 0\r\n"))), "");
}

TEST(Store, StaysWithinItsBudgetAndKeepsWhatIsAskedFor) {
  Store store({.bytes_max = 1 << 20}, 1);
  const std::string bytes(1000, 'x');
  ASSERT_TRUE(store.Add(KeyOf("/often"), AnswerOf(store, bytes)));
  for (int i = 0; i < 20'000; ++i) {
    store.Add(KeyOf("/" + std::to_string(i)), AnswerOf(store, bytes));
    EXPECT_EQ(Found(store, KeyOf("/often")), bytes);
    ASSERT_LE(store.bytes(), 1U << 20);
  }
  EXPECT_GT(store.evictions(), 15'000U);
  EXPECT_GT(store.answers(), 300U);
}

TEST(Store, RefusesWhatIsTooLarge) {
  Store store({.bytes_max = 8 << 20, .answer_bytes_max = 4000}, 1);
  EXPECT_FALSE(store.Add(KeyOf("/"), AnswerOf(store, std::string(4000, 'x'))));
  EXPECT_TRUE(store.Add(KeyOf("/"), AnswerOf(store, std::string(1000, 'x'))));
  Store small({.bytes_max = 8000}, 1);
  EXPECT_FALSE(small.Add(KeyOf("/"), AnswerOf(small, std::string(2000, 'x'))));
}

TEST(Store, PurgesAUrlOnAllHostsOrOne) {
  Store store({}, 1);
  const auto fill = [&] {
    for (const std::string_view host : {"a.example", "b.example"}) {
      store.Add(KeyOf("/p?x=1", host), AnswerOf(store, "1"));
      store.Add(KeyOf("/p", host), AnswerOf(store, "2"));
    }
  };
  fill();
  EXPECT_EQ(store.PurgeUrl("/p?x=1"), 2U);
  EXPECT_EQ(Found(store, KeyOf("/p?x=1")), "");
  EXPECT_EQ(Found(store, KeyOf("/p")), "2");
  fill();
  EXPECT_EQ(store.PurgeUrl("https://a.example/p?x=1"), 1U);
  EXPECT_EQ(Found(store, KeyOf("/p?x=1", "b.example")), "1");
  EXPECT_EQ(store.PurgeUrl("http://a.example/p?x=1"), 0U);
}

TEST(Store, PurgesByPrefix) {
  Store store({}, 1);
  for (const std::string_view target : {"/api/a", "/api/b?c", "/apis", "/"})
    store.Add(KeyOf(target), AnswerOf(store, "x"));
  EXPECT_EQ(store.PurgePrefix("/api/"), 2U);
  EXPECT_EQ(Found(store, KeyOf("/apis")), "x");
  EXPECT_EQ(store.PurgePrefix("https://b.example/"), 0U);
  EXPECT_EQ(store.PurgePrefix("https://a.example/"), 2U);
  EXPECT_EQ(store.answers(), 0U);
}

TEST(Store, PurgesByTag) {
  Store store({}, 1);
  store.Add(KeyOf("/de"), AnswerOf(store, "de", {.tags = {"prices:de", "prices"}}));
  store.Add(KeyOf("/fr"), AnswerOf(store, "fr", {.tags = {"prices:fr", "prices"}}));
  EXPECT_EQ(store.PurgeTag("prices:de"), 1U);
  EXPECT_EQ(Found(store, KeyOf("/de")), "");
  EXPECT_EQ(Found(store, KeyOf("/fr")), "fr");
  store.Add(KeyOf("/de"), AnswerOf(store, "new", {.tags = {"prices:de", "prices"}}));
  EXPECT_EQ(Found(store, KeyOf("/de")), "new");
  EXPECT_EQ(store.PurgeTag("prices"), 2U);
  EXPECT_EQ(Found(store, KeyOf("/de")) + Found(store, KeyOf("/fr")), "");
  EXPECT_EQ(store.PurgeTag("nobody has it"), 0U);
}

// The app may have read the database before what the purge is about was written.
TEST(Store, KeepsNothingThatWasAskedForBeforeItsPurge) {
  Store store({}, 1);
  const auto answer = [&] { return AnswerOf(store, "old", {.tags = {"t"}}); };
  const struct {
    std::string_view why;
    std::function<void()> purge;
    bool kept;
  } rows[] = {
      {"its URL", [&] { store.PurgeUrl("/p"); }, false},
      {"its prefix", [&] { store.PurgePrefix("/"); }, false},
      {"its tag, which nobody had yet", [&] { store.PurgeTag("t"); }, false},
      {"another URL", [&] { store.PurgeUrl("/q"); }, true},
      {"another prefix", [&] { store.PurgePrefix("/q"); }, true},
      {"another tag", [&] { store.PurgeTag("u"); }, true},
      {"more purges than are remembered",
       [&] {
         for (std::size_t i = 0; i <= PurgeLog::kRemembered; ++i)
           store.PurgeTag("u");
       },
       false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    store.PurgePrefix("/");
    const auto before = answer();
    row.purge();
    EXPECT_EQ(store.Add(KeyOf("/p"), before), row.kept);
    EXPECT_EQ(Found(store, KeyOf("/p")), row.kept ? "old" : "");
    EXPECT_TRUE(store.Add(KeyOf("/p"), answer()));
  }
}

TEST(Store, SaysWhetherItHoldsAnAnswerStill) {
  Store store({}, 1);
  const Key key = KeyOf("/p");
  const auto kept = AnswerOf(store, "one", {.tags = {"tag"}});
  EXPECT_FALSE(store.Holds(key, *kept));
  ASSERT_TRUE(store.Add(key, kept));
  EXPECT_TRUE(store.Holds(key, *kept));
  EXPECT_FALSE(store.Holds(KeyOf("/q"), *kept));
  store.PurgeTag("tag");
  EXPECT_FALSE(store.Holds(key, *kept));
  const auto next = AnswerOf(store, "two");
  ASSERT_TRUE(store.Add(key, next));
  EXPECT_TRUE(store.Holds(key, *next));
  EXPECT_FALSE(store.Holds(key, *kept));
  store.PurgePrefix("/");
  EXPECT_FALSE(store.Holds(key, *next));
}

TEST(Store, CountsTheFormsThatAreAdded) {
  Store store({}, 1);
  const Key key = KeyOf("/");
  const auto answer =
      AnswerOf(store, std::string(5000, 'x'), {.fields = "ETag: \"a\"\r\nX: y\r\n"});
  store.Add(key, answer);
  const std::uint64_t before = store.bytes();
  EXPECT_EQ(answer->FormOf(http::Coding::kGzip), nullptr);
  const Form* const form =
      answer->AddForm(http::Coding::kGzip, std::make_shared<const std::string>(100, 'y'));
  store.Recharge(key, *answer, *form);
  EXPECT_GT(store.bytes(), before + 100);
  EXPECT_EQ(form->lines,
            "ETag: W/\"a\"\r\nX: y\r\nContent-Encoding: gzip\r\nAccept-Ranges: bytes\r\n"
            "Content-Length: 100\r\n");
  EXPECT_EQ(form->unchanged(), "ETag: W/\"a\"\r\n");
  EXPECT_EQ(answer->FormOf(http::Coding::kIdentity)->lines,
            "ETag: \"a\"\r\nX: y\r\nAccept-Ranges: bytes\r\nContent-Length: 5000\r\n");
  store.Erase(key, *answer);
  EXPECT_EQ(store.bytes(), 0U);
  EXPECT_EQ(*form->bytes, std::string(100, 'y'));  // who sends it still may
}

// Any order of operations against a map: what is found is what was put there last and not purged since.
TEST(Store, IsAMapThatMayForget) {
  std::mt19937_64 random(7);
  Store store({.bytes_max = 64 << 10}, 7);
  std::map<std::string, std::string> truth;
  std::map<std::string, std::string> tag_of;
  for (int step = 0; step < 50'000; ++step) {
    const std::string target =
        "/" + std::to_string(random() % 10) + "/" + std::to_string(random() % 10);
    const std::string tag = std::to_string(random() % 5);
    const auto forget = [&](auto meant) {
      std::erase_if(truth, [&](const auto& one) { return meant(one.first); });
    };
    switch (random() % 8) {
      case 0:
      case 1: {
        const std::string bytes = std::to_string(step) + std::string(random() % 1000, 'x');
        if (store.Add(KeyOf(target), AnswerOf(store, bytes, {.tags = {tag}}))) {
          truth[target] = bytes;
          tag_of[target] = tag;
        }
        break;
      }
      case 2:
        store.PurgeUrl(target);
        truth.erase(target);
        break;
      case 3:
        if (step % 10 != 0) break;
        store.PurgePrefix(target.substr(0, 3));
        forget([&](const std::string& one) { return one.starts_with(target.substr(0, 3)); });
        break;
      case 4:
        if (step % 10 != 0) break;
        store.PurgeTag(tag);
        forget([&](const std::string& one) { return tag_of[one] == tag; });
        break;
      default: {
        const std::string found = Found(store, KeyOf(target));
        if (!found.empty()) {
          ASSERT_TRUE(truth.contains(target));
          ASSERT_EQ(found, truth[target]);
        }
      }
    }
    ASSERT_LE(store.bytes(), 64U << 10);
  }
  store.PurgePrefix("/");
  EXPECT_EQ(store.bytes(), 0U);
  EXPECT_EQ(store.answers(), 0U);
}

// Once a purge has returned, no thread is given what was there before.
TEST(Store, PurgesForAllThreads) {
  Store store({}, 1);
  std::atomic<int> truth{0};     // what the app would say
  std::atomic<int> promised{0};  // nothing older than this may be found
  std::atomic<int> wrong{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      const http::ParsedHead head(http::HeadWith(""));
      while (!stop.load()) {
        const int least = promised.load();
        const AnswerRef found = store.Find(KeyOf("/"), *head);
        if (found != nullptr && std::stoi(*found->bytes()) < least) wrong.fetch_add(1);
        // As a fetch does it: the number first, then what is true.
        Recorded recorded{.fields = "X: y\r\n", .begun = store.purges(), .tags = {"t"}};
        recorded.bytes = std::make_shared<const std::string>(std::to_string(truth.load()));
        store.Add(KeyOf("/"), std::make_shared<Answer>(std::move(recorded)));
      }
    });
  }
  for (int i = 1; i <= 3000; ++i) {
    truth.store(i);
    (i % 3 == 0)   ? store.PurgeTag("t")
    : (i % 3 == 1) ? store.PurgeUrl("/")
                   : store.PurgePrefix("/");
    promised.store(i);
  }
  stop.store(true);
  for (std::thread& reader : readers)
    reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace onebox::webcache
