#include "redis/reply.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

namespace onebox::redis {

// hiredis calls these for each element, outer before inner. An element is made in its place in the array
// around it, which has its whole size from the begin and so does not move.
struct ReplyReader::Building {
  static Reply* Place(const redisReadTask* task) {
    auto& building = *static_cast<Building*>(task->privdata);
    if (task->parent == nullptr) {
      building.root = {};
      building.elements = 0;
      return &building.root;
    }
    return &static_cast<Reply*>(task->parent->obj)->elements[static_cast<std::size_t>(task->idx)];
  }
  static void* Text(const redisReadTask* task, char* bytes, std::size_t size) {
    Reply* const reply = Place(task);
    reply->kind = task->type == REDIS_REPLY_STATUS  ? Reply::Kind::kStatus
                  : task->type == REDIS_REPLY_ERROR ? Reply::Kind::kError
                                                    : Reply::Kind::kBulk;
    reply->text.assign(bytes, size);
    return reply;
  }
  // Null: hiredis gives up, with an error of its own.
  static void* Array(const redisReadTask* task, int size) {
    Reply* const reply = Place(task);
    auto& building = *static_cast<Building*>(task->privdata);
    reply->kind = Reply::Kind::kArray;
    const auto count = static_cast<std::size_t>(size);
    building.too_many = count > building.elements_max - building.elements;
    if (building.too_many) return nullptr;
    building.elements += count;
    reply->elements.resize(count);
    return reply;
  }
  static void* Integer(const redisReadTask* task, long long value) {
    Reply* const reply = Place(task);
    reply->kind = Reply::Kind::kInteger;
    reply->integer = value;
    return reply;
  }
  static void* Nil(const redisReadTask* task) { return Place(task); }
  static void Free(void* /*unused*/) {}  // the root is ours

  Reply root;
  std::size_t elements = 0;  // of the arrays in it
  std::size_t elements_max = 0;
  bool too_many = false;
};

namespace {

Error NotRedis(std::string_view what) {
  return {Blame::kSystem, Retry::kNever, EPROTO, fmt::format("not an answer of Redis: {}", what)};
}

}  // namespace

ReplyReader::ReplyReader(const ReplyLimits& limits)
    : limits_(limits), building_(std::make_unique<Building>()), reader_(nullptr, redisReaderFree) {
  // hiredis does not change it, and asks for one that it could.
  static redisReplyObjectFunctions functions = {.createString = Building::Text,
                                                .createArray = Building::Array,
                                                .createInteger = Building::Integer,
                                                .createNil = Building::Nil,
                                                .freeObject = Building::Free};
  building_->elements_max = limits.elements_max;
  reader_.reset(redisReaderCreateWithFunctions(&functions));
  CHECK(reader_ != nullptr);
  reader_->privdata = building_.get();  // hiredis' macro for it casts to int
}

ReplyReader::ReplyReader(ReplyReader&&) noexcept = default;
ReplyReader& ReplyReader::operator=(ReplyReader&&) noexcept = default;
ReplyReader::~ReplyReader() = default;

void ReplyReader::Feed(std::string_view bytes) {
  unfinished_ += bytes.size();
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());  // what it fails with stays in it
}

Result<std::optional<Reply>> ReplyReader::Next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) {
    if (building_->too_many) {
      return NotRedis(fmt::format("more than {} elements", limits_.elements_max));
    }
    return NotRedis(reader_->errstr);
  }
  if (reply == nullptr) {
    if (unfinished_ > limits_.bytes_max) {
      return NotRedis(fmt::format("longer than {} bytes", limits_.bytes_max));
    }
    return std::optional<Reply>();
  }
  unfinished_ = reader_->len - reader_->pos;
  return std::optional(std::exchange(building_->root, {}));
}

bool ReplyReader::empty() const {
  return unfinished_ == 0;
}

}  // namespace onebox::redis
