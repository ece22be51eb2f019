#include "os/replace.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "os/file.h"
#include "os/testing.h"

namespace onebox::os {
namespace {

unsigned ModeOf(const std::string& path) {
  return static_cast<unsigned>(std::filesystem::status(path).permissions());
}

TEST(ReplaceFile, IsPrivateAndLeavesNothingBesideIt) {
  const TemporaryFolder folder("replace");
  const std::string path = folder.path() + "/key.pem";
  std::ofstream(path + ".new") << "half of what a killed writer ";
  for (const char* text : {"first", "second"}) {
    SCOPED_TRACE(text);
    ASSERT_TRUE(ReplaceFile(path, text).ok());
    EXPECT_EQ(ReadFile(path, 100).value(), text);
    EXPECT_EQ(ModeOf(path), 0600U);
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  }
  EXPECT_EQ(ReplaceFile(folder.path() + "/none/key.pem", "x").error().system_error, ENOENT);
}

TEST(ReplaceFolder, GivesBothFilesTheirNamesAtOnce) {
  const TemporaryFolder folder("replace");
  const std::string path = folder.path() + "/game.example";
  const std::string made = folder.path() + "/made";
  for (const char* text : {"first", "second", "third"}) {
    SCOPED_TRACE(text);
    std::filesystem::remove_all(made);
    ASSERT_TRUE(MakeFolders(made).ok());
    ASSERT_TRUE(ReplaceFile(made + "/key.pem", text).ok());
    ASSERT_TRUE(ReplaceFolder(path, made).ok());
    EXPECT_EQ(ReadFile(path + "/key.pem", 100).value(), text);
  }
  EXPECT_EQ(ReadFile(made + "/key.pem", 100).value(), "second") << "what was there before";
  EXPECT_FALSE(ReplaceFolder(path, folder.path() + "/none").ok());
  EXPECT_EQ(ReadFile(path + "/key.pem", 100).value(), "third");
}

}  // namespace
}  // namespace onebox::os
