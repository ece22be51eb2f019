#include "pyext/cache_type.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/key_text.h"
#include "cache/second_level.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "pyext/cache_key.h"
#include "pyext/cache_levels.h"
#include "pyext/cache_value.h"

namespace onebox::pyext {
namespace {

using cache::Answer;
using cache::Outcome;
using cache::Wait;

PyObject* cache_error = nullptr;  // onebox.cache.CacheError

struct Inside {
  CacheLevels levels;
  std::string name_space;        // as the statistics show it
  std::string name_space_bytes;  // before every key and tag
  Coder coder;
  os::SystemClock clock;

  cache::Cache& first() { return *levels.first; }
};

struct CacheObject {
  PyObject head;
  Inside* inside;
};

Inside& Of(PyObject* self) {
  return *reinterpret_cast<CacheObject*>(self)->inside;
}

constexpr std::size_t kScratchBytesMax = 64 << 10;
void Shrink(std::string& scratch) {
  if (scratch.capacity() > kScratchBytesMax) scratch = {};
}

// A key's bytes and what they are called, for as long as one call. No Python code runs meanwhile.
struct NamedKey {
  std::string bytes, name;
  std::optional<cache::Key> key;

  // False with an exception.
  bool Make(Inside& inside, PyObject* value) {
    bytes.assign(inside.name_space_bytes);
    if (!AppendKey(value, bytes)) return false;
    if (bytes.size() > cache::kKeyBytesMax) {
      PyErr_Format(PyExc_ValueError,
                   "a key of %zu bytes is longer than %zu",
                   bytes.size(),
                   cache::kKeyBytesMax);
      Shrink(bytes);
      return false;
    }
    name.assign(inside.name_space);
    name.push_back(':');
    const KeyName own = NameOfKey(value);
    name.append(own.text);
    key = inside.first().KeyOf(bytes, name, own.named);
    return true;
  }
};

NamedKey& ThisThreadsKey() {
  thread_local NamedKey key;
  return key;
}
cache::Value& ThisThreadsValue() {
  thread_local cache::Value value;
  return value;
}

// --- arguments

constexpr double kSecondsMax = 3e9;  // a century

// Seconds to come. False with an exception where they are not.
bool SecondsOf(PyObject* object, const char* what, std::optional<Duration>& out) {
  out.reset();
  if (object == nullptr || object == Py_None) return true;
  const double seconds = PyFloat_AsDouble(object);
  if (seconds == -1.0 && PyErr_Occurred() != nullptr) return false;
  if (!(seconds >= 0)) {
    PyErr_Format(PyExc_ValueError, "%s is a number of seconds, not %R", what, object);
    return false;
  }
  out = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds, kSecondsMax)));
  return true;
}

// From now to a time of the wall clock: a datetime with a zone, or seconds since 1970; nothing where it has
// passed. False with an exception where it is neither.
bool SecondsUntil(PyObject* expires, const Clock& clock, std::optional<Duration>& out) {
  Ref moment = Ref::Share(expires);
  if (PyObject_HasAttrString(expires, "timestamp") != 0) {
    const Ref zone = Ref::Take(PyObject_CallMethod(expires, "utcoffset", nullptr));
    if (!zone) return false;
    if (zone.get() == Py_None) {
      PyErr_Format(PyExc_ValueError, "expires needs a time zone, which %R has not", expires);
      return false;
    }
    moment = Ref::Take(PyObject_CallMethod(expires, "timestamp", nullptr));
    if (!moment) return false;
  }
  const double seconds = PyFloat_AsDouble(moment.get());
  if (seconds == -1.0 && PyErr_Occurred() != nullptr) return false;
  if (std::isnan(seconds)) {
    PyErr_Format(PyExc_ValueError, "expires is a time, not %R", expires);
    return false;
  }
  const std::chrono::duration<double> now = clock.WallNow().time_since_epoch();
  const double left = std::clamp(seconds - now.count(), 0.0, kSecondsMax);
  out = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(left));
  return true;
}

struct Marks {
  Tags tags;

  // Of the namespace, and of these tags, as they are now. What is kept has none: two tags may share a
  // mark, and nobody's purge may take it. False with an exception.
  bool Take(Inside& inside, PyObject* names, bool keep) {
    keep = keep || inside.levels.in_redis();
    if (!keep) Add(inside, inside.name_space_bytes);
    if (names == nullptr || names == Py_None || (keep && PyObject_IsTrue(names) == 0)) return true;
    if (keep) {
      if (PyErr_Occurred() == nullptr) {
        PyErr_SetString(PyExc_ValueError, "what is kept has no tags: it is deleted, or expires");
      }
      return false;
    }
    if (PyUnicode_Check(names)) {
      PyErr_SetString(PyExc_TypeError, "tags are several: a list or tuple of str");
      return false;
    }
    const Ref iterator = Ref::Take(PyObject_GetIter(names));
    if (!iterator) return false;
    while (const Ref tag = Ref::Take(PyIter_Next(iterator.get()))) {
      std::string name;
      if (!Name(inside, tag.get(), name)) return false;
      if (tags.ids.size() == cache::kTagsMax) {
        PyErr_Format(PyExc_ValueError, "an entry has up to %zu tags", cache::kTagsMax - 1);
        return false;
      }
      Add(inside, name);
    }
    return PyErr_Occurred() == nullptr;
  }

  static bool Name(const Inside& inside, PyObject* tag, std::string& out) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_Check(tag) ? PyUnicode_AsUTF8AndSize(tag, &size) : nullptr;
    if (utf8 == nullptr) {
      if (PyErr_Occurred() == nullptr) PyErr_Format(PyExc_TypeError, "a tag is a str, not %R", tag);
      return false;
    }
    out = cache::TagBytes(inside.name_space, {utf8, static_cast<std::size_t>(size)});
    return true;
  }

  void Add(Inside& inside, std::string_view name) {
    tags.ids.push_back(cache::Cache::IdOf(name));
    tags.marks.push_back(inside.first().MarkOf(tags.ids.back()));
  }
};

// Of set(), fulfil() and add().
struct Storing {
  PyObject *ttl = nullptr, *expires = nullptr, *fresh = nullptr, *tags = nullptr, *equals = nullptr;
  int keep = 0, presence = 0;
  std::optional<Duration> lasts, fresh_for;
  cache::Value expected;

  bool Resolve(const Coder& coder, const Clock& clock) {
    if (!SecondsOf(ttl, "ttl", lasts) || !SecondsOf(fresh, "fresh", fresh_for)) return false;
    if (expires != nullptr && expires != Py_None) {
      if (lasts) {
        PyErr_SetString(PyExc_TypeError, "it has either a ttl, or expires");
        return false;
      }
      if (!SecondsUntil(expires, clock, lasts)) return false;
    }
    if (presence < 0 || presence > static_cast<int>(cache::Condition::Presence::kPresent)) {
      PyErr_Format(PyExc_ValueError, "presence is 0, 1 or 2, not %d", presence);
      return false;
    }
    return equals == nullptr || equals == Py_None || Encode(coder, equals, expected);
  }
  cache::Lifetime LifetimeFrom(Time now) const {
    cache::Lifetime lifetime;
    if (lasts) lifetime.expires = now + *lasts;
    if (fresh_for) lifetime.fresh = now + *fresh_for;
    return lifetime;
  }
  cache::Condition WhenItHolds() const {
    cache::Condition condition{.presence = static_cast<cache::Condition::Presence>(presence)};
    if (equals != nullptr && equals != Py_None) {
      condition.equals = expected.bytes;
      condition.codec = expected.codec;
    }
    return condition;
  }
  cache::Keep Kept() const {
    return keep != 0 ? cache::Keep::kUntilItExpires : cache::Keep::kWhileThereIsRoom;
  }
};

// --- results

PyObject* Raise(const Error& error) {
  PyErr_SetString(cache_error, error.message.c_str());
  return nullptr;
}

// A bool, or an exception where what has not been done may not be passed over.
PyObject* Conclude(Inside& inside, const Result<Outcome>& result, std::size_t bytes, bool must) {
  if (!result.ok()) return Raise(result.error());
  const Outcome outcome = result.value();
  switch (outcome) {
    case Outcome::kDone:
      Py_RETURN_TRUE;
    case Outcome::kRefused:
      Py_RETURN_FALSE;
    case Outcome::kTooLarge:
      if (must) {
        PyErr_Format(PyExc_ValueError,
                     "a value of %zu bytes is larger than this cache takes (%zu)",
                     bytes,
                     inside.first().value_bytes_max());
        return nullptr;
      }
      if (PyErr_WarnFormat(PyExc_RuntimeWarning,
                           1,
                           "a value of %zu bytes is not stored: this cache takes up to %zu",
                           bytes,
                           inside.first().value_bytes_max()) != 0) {
        return nullptr;
      }
      Py_RETURN_FALSE;
    case Outcome::kNotANumber:
      PyErr_SetString(PyExc_TypeError, "what is there is no int");
      return nullptr;
    case Outcome::kOutOfRange:
      PyErr_SetString(PyExc_OverflowError, "the sum is no int of 64 bits");
      return nullptr;
    case Outcome::kFull:
    case Outcome::kBusy:
      break;
  }
  if (!must) Py_RETURN_FALSE;
  PyErr_SetString(cache_error,
                  outcome == Outcome::kFull
                      ? "no room is left for what may not give way ([cache] memory)"
                      : "another process has the lock and does not go on");
  return nullptr;
}

// What cannot be read any more, as a class that has moved, is not there; the log says so.
Ref DecodeOrNone(Inside& inside, PyObject* key, const cache::Value& value, bool& unreadable) {
  const auto codec = static_cast<Codec>(value.codec);  // loads() may ask this cache, into `value`
  Ref decoded = Decode(inside.coder, value);
  unreadable =
      !decoded && codec == inside.coder.codec && PyErr_ExceptionMatches(PyExc_Exception) != 0;
  if (unreadable) PyErr_WriteUnraisable(key);
  return decoded;
}

// --- methods

PyObject* Get(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count < 1 || count > 2) {
    PyErr_SetString(PyExc_TypeError,
                    "get() takes a key, and what to return where nothing is there");
    return nullptr;
  }
  Inside& inside = Of(self);
  NamedKey& key = ThisThreadsKey();
  cache::Value& value = ThisThreadsValue();
  if (!key.Make(inside, arguments[0])) return nullptr;
  const auto answer = inside.levels.Get(*key.key, inside.clock.Now(), value);
  if (!answer.ok()) return Raise(answer.error());
  if (answer.value() == Answer::kFresh || answer.value() == Answer::kStale) {
    bool unreadable = false;
    Ref decoded = DecodeOrNone(inside, arguments[0], value, unreadable);
    Shrink(value.bytes);
    if (decoded || !unreadable) return decoded.Release();
  }
  return Ref::Share(count == 2 ? arguments[1] : Py_None).Release();
}

PyObject* Lookup(PyObject* self, PyObject* name) {
  Inside& inside = Of(self);
  NamedKey& key = ThisThreadsKey();
  cache::Value value;
  if (!key.Make(inside, name)) return nullptr;
  const Time now = inside.clock.Now();
  const auto found = inside.levels.Get(*key.key, now, value);
  if (!found.ok()) return Raise(found.error());
  const Answer answer = found.value();
  if (answer == Answer::kAbsent || answer == Answer::kBusy) Py_RETURN_NONE;
  bool unreadable = false;
  const Ref decoded = DecodeOrNone(inside, name, value, unreadable);
  if (unreadable) Py_RETURN_NONE;
  if (!decoded) return nullptr;
  const Ref left = value.expires ? Ref::Take(PyFloat_FromDouble(
                                       std::chrono::duration<double>(*value.expires - now).count()))
                                 : Ref::Share(Py_None);
  if (!left) return nullptr;
  return PyTuple_Pack(3, decoded.get(), left.get(), answer == Answer::kFresh ? Py_True : Py_False);
}

PyObject* Set(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {
      "", "", "ttl", "expires", "fresh", "tags", "keep", "presence", "equals", nullptr};
  PyObject *name = nullptr, *object = nullptr;
  Storing storing;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "OO|$OOOOpiO:set",
                                  const_cast<char**>(names),
                                  &name,
                                  &object,
                                  &storing.ttl,
                                  &storing.expires,
                                  &storing.fresh,
                                  &storing.tags,
                                  &storing.keep,
                                  &storing.presence,
                                  &storing.equals) == 0) {
    return nullptr;
  }
  Inside& inside = Of(self);
  Marks marks;
  cache::Value value;
  NamedKey key;
  if (!storing.Resolve(inside.coder, inside.clock) ||
      !marks.Take(inside, storing.tags, storing.keep != 0) ||
      !Encode(inside.coder, object, value) || !key.Make(inside, name)) {
    return nullptr;
  }
  const Time now = inside.clock.Now();
  const auto outcome = inside.levels.Set(*key.key,
                                         {.bytes = value.bytes,
                                          .codec = value.codec,
                                          .lifetime = storing.LifetimeFrom(now),
                                          .keep = storing.Kept(),
                                          .tags = marks.tags.marks},
                                         marks.tags,
                                         storing.WhenItHolds(),
                                         now);
  return Conclude(inside, outcome, value.bytes.size(), storing.keep != 0);
}

PyObject* Remove(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"", "equals", nullptr};
  PyObject* name = nullptr;
  Storing storing;
  if (PyArg_ParseTupleAndKeywords(
          arguments, keywords, "O|$O:delete", const_cast<char**>(names), &name, &storing.equals) ==
      0) {
    return nullptr;
  }
  Inside& inside = Of(self);
  NamedKey key;
  if (!storing.Resolve(inside.coder, inside.clock) || !key.Make(inside, name)) return nullptr;
  const auto outcome = inside.levels.Remove(*key.key, storing.WhenItHolds(), inside.clock.Now());
  return Conclude(
      inside, outcome, 0, true);  // that something old is still there is no small matter
}

PyObject* Touch(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"", "ttl", "expires", "fresh", "equals", nullptr};
  PyObject* name = nullptr;
  Storing storing;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "O|O$OOO:touch",
                                  const_cast<char**>(names),
                                  &name,
                                  &storing.ttl,
                                  &storing.expires,
                                  &storing.fresh,
                                  &storing.equals) == 0) {
    return nullptr;
  }
  Inside& inside = Of(self);
  NamedKey key;
  if (storing.ttl == nullptr && storing.expires == nullptr) {
    PyErr_SetString(PyExc_TypeError, "touch() takes a ttl, or expires");
    return nullptr;
  }
  if (!storing.Resolve(inside.coder, inside.clock) || !key.Make(inside, name)) return nullptr;
  const Time now = inside.clock.Now();
  const auto outcome =
      inside.levels.Touch(*key.key, storing.LifetimeFrom(now), storing.WhenItHolds(), now);
  return Conclude(inside, outcome, 0, true);
}

PyObject* Add(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"", "", "initial", "ttl", "expires", "tags", "keep", nullptr};
  PyObject *name = nullptr, *initial = Py_None;
  long long number = 0;
  Storing storing;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "OL|$OOOOp:increment",
                                  const_cast<char**>(names),
                                  &name,
                                  &number,
                                  &initial,
                                  &storing.ttl,
                                  &storing.expires,
                                  &storing.tags,
                                  &storing.keep) == 0) {
    return nullptr;
  }
  Inside& inside = Of(self);
  Marks marks;
  NamedKey key;
  cache::Value first;
  if (initial != Py_None) {
    if (!Encode(inside.coder, initial, first)) return nullptr;
    if (static_cast<Codec>(first.codec) != Codec::kNumber) {
      PyErr_SetString(PyExc_TypeError, "initial is an int of 64 bits");
      return nullptr;
    }
  }
  if (!storing.Resolve(inside.coder, inside.clock) ||
      !marks.Take(inside, storing.tags, storing.keep != 0) || !key.Make(inside, name))
    return nullptr;
  const Time now = inside.clock.Now();
  const cache::NewValue begin{.bytes = first.bytes,
                              .codec = first.codec,
                              .lifetime = storing.LifetimeFrom(now),
                              .keep = storing.Kept(),
                              .tags = marks.tags.marks};
  std::int64_t sum = 0;
  const auto outcome = inside.levels.Add(
      *key.key, number, initial == Py_None ? nullptr : &begin, marks.tags, now, sum);
  if (outcome.ok() && outcome.value() == Outcome::kDone) return PyLong_FromLongLong(sum);
  if (outcome.ok() && outcome.value() == Outcome::kRefused) Py_RETURN_NONE;
  return Conclude(inside, outcome, sizeof sum, true);
}

PyObject* Purge(PyObject* self, PyObject* tag) {
  std::string name;
  if (!Marks::Name(Of(self), tag, name)) return nullptr;
  const auto purged = Of(self).levels.Purge(cache::Cache::IdOf(name));
  const Ref done = Ref::Take(Conclude(Of(self), purged, 0, true));
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Clear(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"kept", nullptr};
  int kept = 0;
  if (PyArg_ParseTupleAndKeywords(
          arguments, keywords, "|$p:clear", const_cast<char**>(names), &kept) == 0) {
    return nullptr;
  }
  Inside& inside = Of(self);
  const auto cleared = inside.levels.Clear(inside.name_space_bytes, kept != 0, inside.clock.Now());
  const Ref done = Ref::Take(Conclude(inside, cleared, 0, true));
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

// --- loading

const char* WordOf(cache::Cache::Loading::Next next) {
  using Next = cache::Cache::Loading::Next;
  switch (next) {
    case Next::kUse:
      return "use";
    case Next::kLoad:
      return "load";
    case Next::kWait:
      return "wait";
    case Next::kWithout:
    case Next::kBusy:
      break;
  }
  return "without";
}

PyObject* Claimed(const cache::Cache::Loading& loading,
                  bool there,
                  const Ref& value,
                  std::string_view ticket) {
  const Ref blob = Bytes(ticket);
  if (!blob) return nullptr;
  return Py_BuildValue("sOOKIO",
                       WordOf(loading.next),
                       there ? Py_True : Py_False,
                       value.get(),
                       static_cast<unsigned long long>(loading.token),
                       loading.turn,
                       blob.get());
}

PyObject* Claim(PyObject* self, PyObject* arguments) {
  PyObject *name = nullptr, *lease_object = nullptr, *tags = nullptr;
  if (PyArg_ParseTuple(arguments, "OOO:claim", &name, &lease_object, &tags) == 0) return nullptr;
  Inside& inside = Of(self);
  std::optional<Duration> lease;
  Marks marks;
  NamedKey key;
  if (!SecondsOf(lease_object, "lease", lease) || !marks.Take(inside, tags, false) ||
      !key.Make(inside, name))
    return nullptr;
  cache::Value value;
  std::string ticket;
  const auto claimed = inside.levels.GetOrClaim(
      *key.key, lease.value_or(Duration::zero()), marks.tags, inside.clock.Now(), value, ticket);
  if (!claimed.ok()) return Raise(claimed.error());
  const cache::Cache::Loading& loading = claimed.value();
  Ref found = Ref::Share(Py_None);
  const bool there = loading.answer == Answer::kFresh || loading.answer == Answer::kStale;
  if (there) {
    bool unreadable = false;
    found = DecodeOrNone(inside, name, value, unreadable);
    if (!found && !unreadable) return nullptr;
    if (unreadable) {
      // As if nothing were there: whoever asks next loads it.
      const auto removed = inside.levels.Remove(*key.key, {}, inside.clock.Now());
      if (removed.ok() && removed.value() != Outcome::kBusy) return Claim(self, arguments);
      return Claimed({}, false, Ref::Share(Py_None), ticket);
    }
  }
  return Claimed(loading, there, found, ticket);
}

PyObject* Fulfil(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"", "", "", "marks", "ttl", "fresh", nullptr};
  PyObject *name = nullptr, *object = nullptr, *blob = nullptr;
  unsigned long long token = 0;
  Storing storing;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "OKO|$OOO:fulfil",
                                  const_cast<char**>(names),
                                  &name,
                                  &token,
                                  &object,
                                  &blob,
                                  &storing.ttl,
                                  &storing.fresh) == 0) {
    return nullptr;
  }
  Inside& inside = Of(self);
  NamedKey key;
  cache::Value value;
  if (blob == nullptr || PyBytes_Check(blob) == 0) {
    PyErr_SetString(PyExc_TypeError, "fulfil() needs the marks that claim() has given");
    return nullptr;
  }
  if (!storing.Resolve(inside.coder, inside.clock) || !Encode(inside.coder, object, value) ||
      !key.Make(inside, name)) {
    return nullptr;
  }
  const Time now = inside.clock.Now();
  const auto outcome = inside.levels.Fulfil(
      *key.key,
      token,
      {.bytes = value.bytes, .codec = value.codec, .lifetime = storing.LifetimeFrom(now)},
      ViewOf(blob),
      now);
  return Conclude(inside, outcome, value.bytes.size(), false);
}

PyObject* GiveUp(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  unsigned long long token = 0;
  if (PyArg_ParseTuple(arguments, "OK:give_up", &name, &token) == 0) return nullptr;
  Inside& inside = Of(self);
  NamedKey key;
  if (!key.Make(inside, name)) return nullptr;
  const Time now = inside.clock.Now();
  Outcome outcome = inside.first().GiveUp(*key.key, token, now, Wait::kNot);
  if (outcome == Outcome::kBusy) {
    const WithoutGil others;
    outcome = inside.first().GiveUp(*key.key, token, now, Wait::kForOthers);
  }
  return PyBool_FromLong(outcome == Outcome::kDone ? 1 : 0);
}

PyObject* TurnOf(PyObject* self, PyObject* name) {
  NamedKey key;
  if (!key.Make(Of(self), name)) return nullptr;
  return PyLong_FromUnsignedLong(Of(self).first().TurnOf(*key.key));
}

PyObject* AwaitTurn(PyObject* self, PyObject* arguments) {
  PyObject *name = nullptr, *timeout_object = nullptr;
  unsigned turn = 0;
  if (PyArg_ParseTuple(arguments, "OIO:await_turn", &name, &turn, &timeout_object) == 0)
    return nullptr;
  std::optional<Duration> timeout;
  NamedKey key;
  if (!SecondsOf(timeout_object, "timeout", timeout) || !key.Make(Of(self), name)) return nullptr;
  const auto cache = Of(self).levels.first;
  {
    const WithoutGil others;
    cache->Await(*key.key, turn, timeout.value_or(Duration::zero()));
  }
  Py_RETURN_NONE;
}

// --- looking

bool SetItem(const Ref& dict, const char* name, std::uint64_t number) {
  const Ref value = Ref::Take(PyLong_FromUnsignedLongLong(number));
  return value && PyDict_SetItemString(dict.get(), name, value.get()) == 0;
}

PyObject* Figures(PyObject* self, PyObject* /*none*/) {
  const auto cache = Of(self).levels.first;
  const Time now = Of(self).clock.Now();
  const cache::Cache::Figures figures = [&] {
    const WithoutGil others;
    return cache->Count(now, Wait::kForOthers);
  }();
  Ref result = Ref::Take(PyDict_New());
  Ref rows = Ref::Take(PyDict_New());
  if (!result || !rows) return nullptr;
  for (const auto& row : figures.rows) {
    const Ref counts = Ref::Take(PyDict_New());
    if (!counts || !SetItem(counts, "hits", row.hits) || !SetItem(counts, "misses", row.misses) ||
        !SetItem(counts, "sets", row.sets) || !SetItem(counts, "evictions", row.evictions)) {
      return nullptr;
    }
    const Ref name = Ref::Take(
        PyUnicode_DecodeUTF8(row.name.data(), static_cast<Py_ssize_t>(row.name.size()), "replace"));
    if (!name || PyDict_SetItem(rows.get(), name.get(), counts.get()) != 0) return nullptr;
  }
  if (!SetItem(result, "bytes", figures.bytes) ||
      !SetItem(result, "bytes_used", figures.bytes_used) ||
      !SetItem(result, "bytes_kept", figures.bytes_kept) ||
      !SetItem(result, "entries", figures.entries) ||
      !SetItem(result, "entries_kept", figures.entries_kept) ||
      !SetItem(result, "undone", figures.undone) || !SetItem(result, "emptied", figures.emptied) ||
      PyDict_SetItemString(result.get(), "names", rows.get()) != 0) {
    return nullptr;
  }
  return result.Release();
}

PyObject* ValueBytesMax(PyObject* self, void* /*none*/) {
  return PyLong_FromSize_t(Of(self).first().value_bytes_max());
}
PyObject* Descriptor(PyObject* self, PyObject* /*none*/) {
  return PyLong_FromLong(Of(self).first().memory().get());
}

// --- life

PyTypeObject* base_type = nullptr;

// Of those that have none of their own: the box's, or this process's. Under the GIL.
std::shared_ptr<cache::Cache>& Common() {
  static auto* common =
      new std::shared_ptr<cache::Cache>;  // for ever: threads may run until the end
  return *common;
}
bool common_is_of_box = false;
// The Redis of the box, where it has one.
std::shared_ptr<cache::SecondLevel>& CommonSecond() {
  static auto* common = new std::shared_ptr<cache::SecondLevel>;
  return *common;
}
cache::SecondSettings& CommonSettings() {
  static auto* settings = new cache::SecondSettings;
  return *settings;
}
const Clock& CommonClock() {
  static const auto* clock = new os::SystemClock;
  return *clock;
}
constexpr std::size_t kAloneBytes = std::size_t{64} << 20;  // taken as it is used

bool MakeCache(std::size_t bytes, std::shared_ptr<cache::Cache>& out) {
  auto made = cache::Cache::Create(bytes);
  if (made.ok()) {
    out = std::make_shared<cache::Cache>(std::move(made).value());
    return true;
  }
  PyErr_SetString(PyExc_OSError, made.error().message.c_str());
  return false;
}

// None: what is common; a Cache: as that one; a number: new memory of so many bytes. Empty with an
// exception.
std::shared_ptr<cache::Cache> FindMemory(PyObject* memory) {
  if (PyObject_TypeCheck(memory, base_type) != 0) return Of(memory).levels.first;
  if (memory == Py_None) {
    if (!Common() && !MakeCache(kAloneBytes, Common())) return nullptr;
    return Common();
  }
  const std::size_t number = PyLong_AsSize_t(memory);
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (number < cache::kCacheBytesMin || number > cache::kCacheBytesMax) {
    PyErr_Format(PyExc_ValueError,
                 "a cache has %zu to %zu bytes",
                 cache::kCacheBytesMin,
                 cache::kCacheBytesMax);
    return nullptr;
  }
  std::shared_ptr<cache::Cache> own;
  return MakeCache(number, own) ? own : nullptr;
}

PyObject* IsShared(PyObject* self, void* /*none*/) {
  return PyBool_FromLong(common_is_of_box && Of(self).levels.first == Common() ? 1 : 0);
}

// Where the cache is to be, as Python says it. False with an exception.
bool Place(std::string_view where, CacheLevels& levels) {
  if (where != "box" && where != "both" && where != "redis") {
    PyErr_SetString(PyExc_ValueError, "a cache is in the \"box\", in \"both\" or in \"redis\"");
    return false;
  }
  const bool of_box = common_is_of_box && levels.first == Common();
  if (of_box && where == "redis" && !CommonSecond()) {
    PyErr_SetString(PyExc_ValueError, "where=\"redis\" needs [cache] redis");
    return false;
  }
  if (where == "box" || !of_box || !CommonSecond()) return true;
  levels.second = CommonSecond();
  levels.where = where == "redis" ? Where::kRedis : Where::kBoth;
  return true;
}

PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"memory", "namespace", "codec", "dumps", "loads", "where", nullptr};
  PyObject *memory = nullptr, *dumps = nullptr, *loads = nullptr;
  const char *name_space = nullptr, *where = nullptr;
  int codec = 0;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "O$siOOs:Cache",
                                  const_cast<char**>(names),
                                  &memory,
                                  &name_space,
                                  &codec,
                                  &dumps,
                                  &loads,
                                  &where) == 0) {
    return nullptr;
  }
  auto inside = std::make_unique<Inside>();
  inside->levels.first = FindMemory(memory);
  if (!inside->levels.first || !Place(where, inside->levels)) return nullptr;
  inside->name_space = name_space;
  cache::AppendNamespace(name_space, inside->name_space_bytes);
  inside->coder = {static_cast<Codec>(codec), Ref::Share(dumps), Ref::Share(loads)};
  const auto allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  PyObject* self = allocate(type, 0);
  if (self != nullptr) reinterpret_cast<CacheObject*>(self)->inside = inside.release();
  return self;
}

void Delete(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete reinterpret_cast<CacheObject*>(self)->inside;
  const auto give_back = reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free));
  give_back(self);
  Py_DECREF(type);
}

// Python has one type for all kinds of methods; the flags say which it is.
template <typename Function>
PyCFunction AsMethod(Function* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef* Methods() {
  static PyMethodDef methods[] = {
      {"get",
       AsMethod(Get),
       METH_FASTCALL,
       "get(key, default=None)\n--\n\nThe value, stale or not; `default` where nothing is there."},
      {"lookup",
       Lookup,
       METH_O,
       "lookup(key)\n--\n\n(value, seconds that it has left or None, whether it is fresh); None "
       "where "
       "nothing is there."},
      {"set",
       AsMethod(Set),
       METH_VARARGS | METH_KEYWORDS,
       "set(key, value, *, ttl=None, expires=None, fresh=None, tags=(), keep=False, presence=0, "
       "equals=None)\n--\n\n"
       "Whether it is stored. ttl: for so many seconds; expires: until then, a datetime with a "
       "zone or "
       "seconds since 1970. presence 1: where nothing is there; 2: where something is."},
      {"delete",
       AsMethod(Remove),
       METH_VARARGS | METH_KEYWORDS,
       "delete(key, *, equals=None)\n--\n\nWhether it was there, and is no more."},
      {"touch",
       AsMethod(Touch),
       METH_VARARGS | METH_KEYWORDS,
       "touch(key, ttl=None, *, expires=None, fresh=None, equals=None)\n--\n\nWhether it is there; "
       "it "
       "lasts so long from now, or until then."},
      {"increment",
       AsMethod(Add),
       METH_VARARGS | METH_KEYWORDS,
       "increment(key, by, *, initial=None, ttl=None, expires=None, tags=(), "
       "keep=False)\n--\n\nThe sum; None "
       "where nothing "
       "is there and no `initial` was given."},
      {"purge", Purge, METH_O, "purge(tag)\n--\n\nNothing with that tag is there any more."},
      {"clear",
       AsMethod(Clear),
       METH_VARARGS | METH_KEYWORDS,
       "clear(*, kept=False)\n--\n\nNothing of this namespace is there any more; what is kept "
       "stays, but "
       "with kept=True."},
      {"claim",
       Claim,
       METH_VARARGS,
       "claim(key, lease, tags)\n--\n\n(\"use\", \"load\", \"wait\" or \"without\", whether a "
       "value "
       "is there, the "
       "value, token, turn, marks)."},
      {"fulfil",
       AsMethod(Fulfil),
       METH_VARARGS | METH_KEYWORDS,
       "fulfil(key, token, value, *, marks, ttl=None, fresh=None)\n--\n\nWhether the claim stood, "
       "and the value "
       "is stored."},
      {"give_up", GiveUp, METH_VARARGS, "give_up(key, token)\n--\n\nEnds a claim."},
      {"turn", TurnOf, METH_O, "turn(key)\n--\n\nA number that changes when the key does."},
      {"await_turn",
       AwaitTurn,
       METH_VARARGS,
       "await_turn(key, turn, timeout)\n--\n\nUntil it is another, or sooner."},
      {"figures",
       Figures,
       METH_NOARGS,
       "figures()\n--\n\nWhat is in the memory, and how often it helped."},
      {"fileno", Descriptor, METH_NOARGS, "fileno()\n--\n\nOf the memory."},
      {nullptr, nullptr, 0, nullptr},
  };
  return methods;
}

PyGetSetDef attributes[] = {
    {"shared",
     IsShared,
     nullptr,
     "Whether it is the memory that all workers of a box share.",
     nullptr},
    {"value_bytes_max",
     ValueBytesMax,
     nullptr,
     "The largest value, in bytes as they are stored.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

bool AddCacheType(PyObject* module) {
  static PyType_Slot slots[] = {
      {Py_tp_doc,
       const_cast<char*>("Cache(memory, *, namespace, codec, dumps, loads, where)\n--\n\nThe box's "
                         "memory (None), "
                         "that of another Cache, or new memory of so many bytes.")},
      {Py_tp_new, reinterpret_cast<void*>(New)},
      {Py_tp_dealloc, reinterpret_cast<void*>(Delete)},
      {Py_tp_methods, Methods()},
      {Py_tp_getset, attributes},
      {0, nullptr},
  };

  static PyType_Spec spec = {"onebox._onebox.Cache",
                             sizeof(CacheObject),
                             0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                             slots};

  const Ref type = Ref::Take(PyType_FromModuleAndSpec(module, &spec, nullptr));
  if (!type || PyModule_AddObjectRef(module, "Cache", type.get()) != 0) return false;
  base_type = reinterpret_cast<PyTypeObject*>(Ref::Share(type.get()).Release());
  cache_error =
      PyErr_NewExceptionWithDoc("onebox.cache.CacheError",
                                "What may not be lost could not be stored, or not be reached.",
                                PyExc_RuntimeError,
                                nullptr);
  return cache_error != nullptr && PyModule_AddObjectRef(module, "CacheError", cache_error) == 0;
}

PyObject* ShareCache(PyObject* /*module*/, PyObject* descriptor) {
  const long number = PyLong_AsLong(descriptor);
  if (number == -1 && PyErr_Occurred() != nullptr) return nullptr;
  os::CloseAtExecute(static_cast<int>(number));
  auto opened = cache::Cache::Open(os::Fd(static_cast<int>(number)));
  if (!opened.ok()) {
    PyErr_SetString(PyExc_OSError, opened.error().message.c_str());
    return nullptr;
  }
  Common() = std::make_shared<cache::Cache>(std::move(opened).value());
  common_is_of_box = true;
  CommonSettings() = cache::ReadSettings(*Common());
  if (!CommonSettings().url.empty()) {
    CommonSecond() =
        std::make_shared<cache::SecondLevel>(*Common(), CommonSettings(), CommonClock());
  }
  Py_RETURN_NONE;
}

PyObject* ConnectCache(PyObject* /*module*/, PyObject* connections) {
  const std::size_t number = PyLong_AsSize_t(connections);
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (CommonSecond()) {
    const WithoutGil others;
    CommonSecond()->Connect(std::max<std::size_t>(number, 1));
  }
  Py_RETURN_NONE;
}

PyObject* KeptInRedis(PyObject* /*module*/, PyObject* kind) {
  const Ref text = Ref::Take(PyUnicode_AsUTF8String(kind));
  if (!text) return nullptr;
  const std::string_view name = ViewOf(text.get());
  const cache::SecondSettings& settings = CommonSettings();
  const bool kept = (name == "sessions" && settings.sessions) ||
                    (name == "locks" && settings.locks) || (name == "limits" && settings.limits);
  return PyBool_FromLong(kept ? 1 : 0);
}

}  // namespace onebox::pyext
