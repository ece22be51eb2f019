#include "front/request_body.h"

#include <utility>

#include "base/check.h"
#include "os/file.h"
#include "os/mapping.h"

namespace onebox::front {

RequestBody::Stored RequestBody::MoveToFile() {
  auto file = os::OpenTemporary(room_.folder);
  if (!file.ok()) return Stored::kNoDisk;
  if (!os::WriteAt(file.value(), memory_, 0).ok()) return Stored::kNoDisk;
  file_ = std::move(file).value();
  std::string().swap(memory_);
  share_.Clear();
  return Stored::kYes;
}

RequestBody::Stored RequestBody::Append(std::string_view bytes) {
  if (!in_file() && size_ + bytes.size() > room_.memory_max) {
    const Stored moved = MoveToFile();
    if (moved != Stored::kYes) return moved;
  }
  if (in_file()) {
    if (!os::WriteAt(file_, bytes, size_).ok()) return Stored::kNoDisk;
  } else {
    if (!share_.Grow(bytes.size())) return Stored::kNoBudget;
    memory_.append(bytes);
  }
  size_ += bytes.size();
  return Stored::kYes;
}

void RequestBody::TakeFrom(RequestBody& other) {
  CHECK(size_ == 0);
  share_.TakeFrom(other.share_);
  memory_ = std::exchange(other.memory_, {});
  file_ = std::move(other.file_);
  size_ = other.size_;
}

void RequestBody::Drop() {
  std::string().swap(memory_);
  file_.Reset();
  share_.Clear();
}

bool RequestBody::FitFor(std::uint64_t inline_max) {
  if (in_file() || size_ <= inline_max) return true;
  auto memory = os::NewSharedMemory("onebox-body", size_);
  if (!memory.ok() || !os::WriteAt(memory.value(), memory_, 0).ok()) return false;
  file_ = std::move(memory).value();  // its bytes stay in the budget
  std::string().swap(memory_);
  return true;
}

}  // namespace onebox::front
