#include "front/broken_app.h"

#include <functional>
#include <utility>

#include <fmt/format.h>

#include "telemetry/escape.h"

namespace onebox::front {
namespace {

constexpr std::string_view kMarkField = "X-Onebox-Broken";

constexpr std::string_view kBeforeStory = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The app cannot be loaded</title>
<style>
body { margin: 2em; font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
pre { padding: 1em; overflow: auto; font: 14px/1.5 ui-monospace, monospace; background: #f4f4f4; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1b1b1b; }
  pre { background: #282828; }
}
</style>
</head>
<body>
<h1>The app cannot be loaded</h1>
<pre>)";

// It asks for the head alone. A redirection is an answer of the app too, wherever it leads; where
// nobody answers, it asks again.
constexpr std::string_view kAfterStory = R"(</pre>
<p>Onebox watches its files. Mend it, and this page loads anew.</p>
<script>
setInterval(async () => {{
  try {{
    const answer = await fetch(location.href, {{method: "HEAD", cache: "no-store", redirect: "manual"}});
    if (answer.headers.get("{}") !== "{}") location.reload();
  }} catch (nobodyAnswers) {{}}
}}, 1000);
</script>
</body>
</html>
)";

void AppendHtml(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
}

}  // namespace

// The mark is of the story and not a number: the next front and the next start give it the same.
BrokenApp MakeBrokenApp(std::string story) {
  BrokenApp made{
      .story = std::move(story), .page = std::string(kBeforeStory), .mark = {}, .fields = {}};
  made.mark = fmt::format("{:016x}", std::hash<std::string>()(made.story));
  AppendHtml(made.page, made.story);
  made.page += fmt::format(kAfterStory, kMarkField, made.mark);
  made.fields = fmt::format("Cache-Control: no-store\r\n{}: {}\r\n", kMarkField, made.mark);
  return made;
}

std::string BrokenAppJson(const BrokenApp& broken, std::string_view request_id) {
  std::string json = R"({"status":500,"title":"Internal Server Error",)"
                     R"("error":"the app cannot be loaded","traceback":")";
  telemetry::AppendJson(json, broken.story);
  json += R"(","request_id":")";
  telemetry::AppendJson(json, request_id);
  return json + "\"}\n";
}

}  // namespace onebox::front
