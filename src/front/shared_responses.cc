#include "front/shared_responses.h"

#include <new>
#include <utility>

#include "os/fd.h"

namespace onebox::front {
namespace {

constexpr std::size_t kBytes = sizeof(std::atomic<std::uint64_t>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "it works between processes only without a lock");

}  // namespace

Result<std::shared_ptr<PurgeCount>> PurgeCount::Create() {
  const os::Fd memory = TRY(os::NewSharedMemory("onebox-purges", kBytes));
  return std::make_shared<PurgeCount>(TRY(os::Mapping::Share(memory, kBytes)));
}

PurgeCount::PurgeCount(os::Mapping mapping)
    : mapping_(std::move(mapping)), number_(new (mapping_.data()) std::atomic<std::uint64_t>(0)) {}

SharedResponses::SharedResponses(const webcache::Store::Limits& limits,
                                 std::uint64_t seed,
                                 std::shared_ptr<PurgeCount> purges)
    : store(limits, seed), purges_(std::move(purges)) {
  if (purges_ != nullptr) known_ = Everywhere();
}

// Where another front purges at the same moment, what is known stays behind, and CatchUp() sees that.
std::size_t SharedResponses::Purge(const std::function<std::size_t(webcache::Store&)>& purge) {
  const std::lock_guard lock(mutex_);
  const std::size_t purged = purge(store);
  if (purges_ != nullptr) {
    purges_->number().fetch_add(1, std::memory_order_acq_rel);
    known_.fetch_add(1, std::memory_order_release);
  }
  return purged;
}

void SharedResponses::CatchUp() {
  if (purges_ == nullptr || Everywhere() == known_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t everywhere = Everywhere();
  if (everywhere == known_.load(std::memory_order_relaxed)) return;
  store.PurgePrefix("/");
  known_.store(everywhere, std::memory_order_release);
}

}  // namespace onebox::front
