#include "eviction/real_cache.h"

#include <string>

#include "base/check.h"
#include "cache/shard.h"
#include "os/mapping.h"
#include "redis/trust.h"

namespace onebox::eviction {
namespace {

constexpr std::size_t kOverhead = sizeof(cache::Entry);

std::uint64_t RoomOf(std::size_t shard_bytes) {
  return cache::PlanShard(shard_bytes).blocks - 1;
}

std::size_t BytesFor(std::uint64_t budget) {
  CHECK(IsRealBudget(budget));
  std::size_t bytes = cache::kShardBytesMin;
  while (RoomOf(bytes) < budget)
    bytes += cache::kBlockBytes;
  return bytes;
}

class RealCache final : public Policy {
 public:
  RealCache(Shelf& shelf, std::uint64_t budget)
      : objects_(shelf.objects), bytes_(BytesFor(budget)) {
    shard_.Format();
    CHECK(shard_.TryLock());
  }
  ~RealCache() override { shard_.Unlock(); }
  RealCache(const RealCache&) = delete;
  RealCache& operator=(const RealCache&) = delete;

  bool Ask(std::uint32_t number, std::uint32_t now) override {
    const Object& object = objects_[number];
    const Time time = Time{} + std::chrono::seconds(now + 1);
    const cache::Key key{{reinterpret_cast<const char*>(&number), sizeof number}, Mix(number), 0};
    if (shard_.Get(key, time, found_) == cache::Answer::kFresh) return true;
    value_.resize(object.charge * cache::kBlockBytes - kOverhead - sizeof number);
    cache::NewValue value{.bytes = value_};
    if (object.ttl != 0) value.lifetime.expires = time + std::chrono::seconds(object.ttl);
    (void)shard_.Set(key, value, {}, time);  // it may be too large
    return false;
  }

 private:
  std::span<const Object> objects_;
  std::size_t bytes_;
  os::Fd fd_ = os::NewSharedMemory("cache", bytes_).value();
  os::Mapping memory_ = os::Mapping::Share(fd_, bytes_).value();
  redis::Trust trust_;  // nothing here comes from Redis
  cache::Shard shard_{{memory_.data(), memory_.size()}, {}, trust_};
  cache::Value found_;
  std::string value_;
};

}  // namespace

bool IsRealBudget(std::uint64_t budget) {
  return budget >= RoomOf(cache::kShardBytesMin) && budget <= RoomOf(cache::kShardBytesMax);
}

std::unique_ptr<Policy> NewRealCache(Shelf& shelf, std::uint64_t budget) {
  return std::make_unique<RealCache>(shelf, budget);
}

}  // namespace onebox::eviction
