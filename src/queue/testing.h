#pragma once
// What the room's tests share: folders with a store's file, and times.

#include "base/clock.h"
#include "queue/store.h"
#include "sqlite/testing.h"
#include "sqlite/testing_disk.h"

namespace onebox::queue {

using sqlite::BytesOf;
using sqlite::CopyStore;
using sqlite::TestDisk;
using sqlite::TestFolder;
using sqlite::WriteBytes;

inline constexpr WallTime At(std::int64_t seconds) {
  return WallTime(std::chrono::seconds(1'800'000'000 + seconds));
}

}  // namespace onebox::queue
