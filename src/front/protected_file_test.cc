#include "front/protected_file.h"

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

std::vector<ProtectedFolder> Folders() {
  std::vector<ProtectedFolder> folders(2);
  folders[0].prefix = "/protected/deep/";
  folders[0].files.folder = "/srv/deep/";
  folders[1].prefix = "/protected/";
  folders[1].files.folder = "/srv/files";
  return folders;
}

TEST(ProtectedFile, IsFoundByItsPathOrItsPlaceOnTheDisk) {
  const struct {
    const char* name;
    const char* value;
    const char* found;  // folder and name
  } rows[] = {
      {"X-Accel-Redirect", "/protected/a.pdf", "/srv/files:a.pdf"},
      {"x-accel-redirect", "/protected/a%20b.pdf", "/srv/files:a b.pdf"},
      {"X-Accel-Redirect", "/protected/a b.pdf", "/srv/files:a b.pdf"},
      {"X-Accel-Redirect", "/protected/a.pdf?x=1", "/srv/files:a.pdf"},
      {"X-Accel-Redirect", "/protected/deep/a", "/srv/deep/:a"},
      {"X-Accel-Redirect", "/protected/x/../deep/a", "/srv/deep/:a"},
      {"X-Accel-Redirect", "/protected/../etc/passwd", ""},
      {"X-Accel-Redirect", "/protected/%2e%2e/etc/passwd", ""},
      {"X-Accel-Redirect", "/../protected/a", ""},
      {"X-Accel-Redirect", "/protected", ""},
      {"X-Accel-Redirect", "/api/users", ""},
      {"X-Accel-Redirect", "@named", ""},
      {"X-Accel-Redirect", "", ""},
      {"X-Sendfile", "/srv/files/a.pdf", "/srv/files:a.pdf"},
      {"X-SENDFILE", "/srv/deep/sub/a", "/srv/deep/:sub/a"},
      {"X-Sendfile", "/srv/files%2Fa.pdf", ""},
      {"X-Sendfile", "/srv/files-of-others/a", ""},
      {"X-Sendfile", "/srv/files", ""},
      {"X-Sendfile", "/etc/passwd", ""},
      {"X-Sendfile", "a.pdf", ""},
  };
  const auto folders = Folders();
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.name) + ": " + row.value);
    const auto file = LocateFile(folders, {row.name, row.value});
    EXPECT_EQ(file ? file->files->folder + ":" + file->name : "", row.found);
  }
}

TEST(ProtectedFile, OnTheDiskDoesNotLeaveItsFolder) {
  // Where its name has dot segments it is no name that is served: IsServableName().
  const auto file = LocateFile(Folders(), {"X-Sendfile", "/srv/files/../../etc/passwd"});
  ASSERT_TRUE(file);
  EXPECT_EQ(file->name, "../../etc/passwd");
}

TEST(ProtectedFile, HasWhatTheAppSaysAndWhatOnlyItsBytesCanSay) {
  const StaticAnswer file{
      .status = 200,
      .fields =
          "ETag: \"file\"\r\nCache-Control: public, max-age=300\r\nContent-Type: "
          "application/pdf\r\nContent-Length: 5\r\n"};
  channel::ResponseHead head;
  head.fields = {{"X-Accel-Redirect", "/protected/a"},
                 {"X-Accel-Buffering", "no"},
                 {"Content-Disposition", "attachment"},
                 {"ETag", "\"app\""},
                 {"Set-Cookie", "a=b"},
                 {"Content-Encoding", "gzip"}};
  EXPECT_EQ(FieldsWithFile(head, file),
            "Content-Disposition: attachment\r\nSet-Cookie: a=b\r\nETag: \"file\"\r\n"
            "Content-Type: application/pdf\r\nContent-Length: 5\r\n"
            "Cache-Control: private, no-cache\r\n");
  head.fields = {{"content-type", "text/plain"}, {"Cache-Control", "max-age=9"}};
  EXPECT_EQ(FieldsWithFile(head, file),
            "content-type: text/plain\r\nCache-Control: max-age=9\r\nETag: \"file\"\r\n"
            "Content-Length: 5\r\n");
  const StaticAnswer parts{.status = 206,
                           .fields = "Content-Type: multipart/byteranges; boundary=x\r\n"};
  EXPECT_EQ(FieldsWithFile(head, parts),
            "Cache-Control: max-age=9\r\nContent-Type: multipart/byteranges; boundary=x\r\n");
  head.fields = {{"X-A", "a\r\nb"}};
  EXPECT_EQ(FieldsWithFile(head, file), std::nullopt);
}

TEST(ProtectedFile, IsAskedForByOneOfTwoFields) {
  channel::ResponseHead head;
  head.fields = {{"X-Accel-Expires", "5"}, {"Content-Type", "text/plain"}};
  EXPECT_EQ(FindFileField(head), nullptr);
  head.fields.push_back({"x-sendfile", "/srv/files/a"});
  ASSERT_NE(FindFileField(head), nullptr);
  EXPECT_EQ(FindFileField(head)->value, "/srv/files/a");
}

}  // namespace
}  // namespace onebox::front
