#include "front/file_cache.h"

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "os/file.h"

namespace onebox::front {
namespace {

std::unique_ptr<StaticFile> FileOf(std::string path, std::size_t size) {
  auto file = std::make_unique<StaticFile>();
  file->key = std::move(path);
  file->made[0] = std::make_shared<const Representation>(
      Description{.media_type = "text/plain", .cache_control = "public"}, std::string(size, 'x'));
  return file;
}

std::unique_ptr<StaticFile> MappedFile(std::string path) {
  os::Fd opened = os::OpenTemporary(testing::TempDir()).value();
  EXPECT_TRUE(os::WriteAll(opened, "mapped").ok());
  os::Mapping mapping = os::Mapping::File(opened, 6).value();
  auto file = FileOf(std::move(path), 0);
  file->made[1] = std::make_shared<const Representation>(
      Description{.media_type = "text/plain", .cache_control = "public"},
      std::move(mapping),
      std::move(opened));
  return file;
}

constexpr std::uint64_t kTenThousand = 10'000;

// Room for three files of 10,000 bytes.
FileCache RoomForThree() {
  return FileCache({.bytes = 3 * kTenThousand + kTenThousand / 2, .mappings = 2});
}

void AddAll(FileCache& cache, const char* paths) {
  for (const char* path = paths; *path != '\0'; ++path) {
    cache.Add(FileOf(std::string(1, *path), kTenThousand));
    cache.Trim();
  }
}

TEST(FileCache, FindsWhatWasAdded) {
  FileCache cache = RoomForThree();
  EXPECT_EQ(cache.Find("/a"), nullptr);
  const StaticFile& added = cache.Add(FileOf("/a", 10));
  EXPECT_EQ(cache.Find("/a"), &added);
  EXPECT_EQ(cache.Find("/"), nullptr);
  EXPECT_EQ(cache.charge().bytes, ChargeOf(added).bytes);
  cache.Erase("/a");
  EXPECT_EQ(cache.Find("/a"), nullptr);
  EXPECT_EQ(cache.entries(), 0U);
  EXPECT_EQ(cache.charge().bytes, 0U);
}

TEST(FileCache, ReplacesWhatHasTheSamePath) {
  FileCache cache = RoomForThree();
  cache.Add(FileOf("/a", 10));
  const StaticFile& second = cache.Add(FileOf("/a", 20));
  EXPECT_EQ(cache.entries(), 1U);
  EXPECT_EQ(cache.Find("/a"), &second);
  EXPECT_EQ(cache.charge().bytes, ChargeOf(second).bytes);
}

TEST(FileCache, EvictsTheOldestThatWasNotFoundAgain) {
  const struct {
    const char* found;  // before the fourth is added
    const char* gone;
  } cases[] = {{"", "a"}, {"a", "b"}, {"ab", "c"}, {"c", "a"}, {"ac", "b"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string("found: ") + c.found);
    FileCache cache = RoomForThree();
    AddAll(cache, "abc");
    ASSERT_EQ(cache.entries(), 3U);
    for (const char* path = c.found; *path != '\0'; ++path)
      EXPECT_NE(cache.Find({path, 1}), nullptr);
    AddAll(cache, "d");
    EXPECT_EQ(cache.entries(), 3U);
    EXPECT_EQ(cache.Find(c.gone), nullptr);
    EXPECT_NE(cache.Find("d"), nullptr);
  }
}

TEST(FileCache, FilesAskedForOnceDoNotPushOutTheOthers) {
  FileCache cache = RoomForThree();
  AddAll(cache, "a");
  for (char once = 'b'; once <= 'z'; ++once) {
    ASSERT_NE(cache.Find("a"), nullptr) << once;
    AddAll(cache, std::string(1, once).c_str());
  }
}

TEST(FileCache, LetsGoOfAFileThatAloneIsTooLarge) {
  FileCache cache = RoomForThree();
  cache.Add(FileOf("/a", 10));
  cache.Add(FileOf("/large", 4 * kTenThousand));
  cache.Trim();
  EXPECT_EQ(cache.entries(), 0U);
  EXPECT_EQ(cache.charge().bytes, 0U);
}

TEST(FileCache, CountsWhatAFileGainsLater) {
  FileCache cache = RoomForThree();
  AddAll(cache, "ab");
  StaticFile* file = cache.Find("b");
  file->made[1] = file->made[0];
  file->made[2] = file->made[0];
  cache.Recharge("b");
  cache.Trim();
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_NE(cache.Find("b"), nullptr);
}

TEST(FileCache, MappingsHaveTheirOwnBudgetAndPushOutMappingsOnly) {
  FileCache cache = RoomForThree();
  cache.Add(FileOf("/small", 10));
  for (const char* path : {"/1", "/2", "/3", "/4"}) {
    cache.Add(MappedFile(path));
    cache.Trim();
    EXPECT_LE(cache.charge().mappings, 2U);
    EXPECT_NE(cache.Find(path), nullptr);
  }
  EXPECT_NE(cache.Find("/small"), nullptr);
  EXPECT_EQ(cache.entries(), 3U);
}

TEST(FileCache, AnEvictedFileStaysWithWhoSendsIt) {
  FileCache cache({.bytes = 1, .mappings = 0});
  const SharedRepresentation sent = cache.Add(MappedFile("/a")).made[1];
  cache.Trim();
  EXPECT_EQ(cache.entries(), 0U);
  EXPECT_EQ(sent->bytes(), "mapped");
}

}  // namespace
}  // namespace onebox::front
