#pragma once
// Hours of each day, by the clock of a place: "20:30-23:00 Europe/Berlin".

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace onebox::plan {

class Hours {
 public:
  // Without a place it is this machine's. Hours may pass midnight: "22:00-02:00". Nothing where the
  // text is none, where both ends are the same, or where the time zone database has no such place.
  static std::optional<Hours> Parse(std::string_view text);

  // From the first minute on, and before the last.
  bool Cover(WallTime moment) const;
  // Or a moment of the minutes after it.
  bool CoverWithin(WallTime moment, std::chrono::minutes ahead) const;

  const std::string& text() const { return text_; }

 private:
  using Minutes = std::chrono::minutes;
  Hours(std::string text, Minutes from, Minutes to, std::string zone)
      : text_(std::move(text)), from_(from), to_(to), zone_(std::move(zone)) {}

  std::string text_;
  Minutes from_, to_;  // of the day
  std::string zone_;   // empty: this machine's
};

}  // namespace onebox::plan
