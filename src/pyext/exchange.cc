#include "pyext/exchange.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "channel/response.h"
#include "http/characters.h"
#include "http/response_head.h"
#include "os/clock.h"
#include "pyext/error_stream.h"
#include "pyext/file_wrapper.h"
#include "pyext/interned.h"
#include "pyext/running.h"

namespace onebox::pyext {
namespace {

using channel::Delivery;
using channel::End;
using channel::IfFull;

constexpr std::uint64_t kLengthMax = 1ULL << 62;

// What start_response() was told, checked, and encoded for the channel.
class Head final {
 public:
  // False with an exception, and as before.
  bool Set(PyObject* status, PyObject* fields);
  // Of a 103, encoded likewise; false with an exception.
  static bool EncodeEarlyHints(PyObject* fields, std::string& out);

  bool is_set() const { return status_ != 0; }
  bool may_have_body() const { return http::StatusHasBody(status_); }
  const std::optional<std::uint64_t>& content_length() const { return content_length_; }
  void SetContentLength(std::uint64_t length) {
    content_length_ = length;
    channel::SetContentLength(encoded_, length);
  }
  std::string_view encoded() const { return encoded_; }

 private:
  static bool ParseStatus(std::string_view line, channel::ResponseHead& head);
  static bool ParseField(PyObject* pair, std::vector<Ref>& copies, channel::ResponseHead& head);
  static bool ParseFields(PyObject* fields, std::vector<Ref>& copies, channel::ResponseHead& head);
  static bool TakeLength(std::string_view value, channel::ResponseHead& head);

  int status_ = 0;  // none yet
  std::optional<std::uint64_t> content_length_;
  std::string encoded_;
};

bool Head::ParseStatus(std::string_view line, channel::ResponseHead& head) {
  const std::string_view code = line.substr(0, 3);
  const auto number = ParseDecimal(code, 599);
  const bool right = code.size() == 3 && number && *number >= 200 &&
                     (line.size() == 3 || line[3] == ' ') && http::IsValidFieldValue(Trimmed(line));
  if (!right) {
    PyErr_SetString(PyExc_ValueError, "a status is \"200 OK\": three digits, 200 to 599, and text");
    return false;
  }
  head.status = static_cast<std::uint16_t>(*number);
  head.reason = Trimmed(line.substr(3));
  return true;
}

bool Head::TakeLength(std::string_view value, channel::ResponseHead& head) {
  const auto length = ParseDecimal(value, kLengthMax);
  if (!length || head.content_length) {
    PyErr_SetString(PyExc_ValueError, "Content-Length is one number");
    return false;
  }
  head.content_length = *length;
  return true;
}

bool Head::ParseField(PyObject* pair, std::vector<Ref>& copies, channel::ResponseHead& head) {
  if (PyTuple_Check(pair) == 0 || PyTuple_Size(pair) != 2) {
    PyErr_SetString(PyExc_TypeError, "a header is a tuple of two str: (name, value)");
    return false;
  }
  std::string_view texts[2];
  for (Py_ssize_t i = 0; i < 2; ++i) {
    PyObject* text = PyTuple_GetItem(pair, i);
    if (PyUnicode_Check(text) == 0) {
      PyErr_SetString(PyExc_TypeError, "a header is a tuple of two str: (name, value)");
      return false;
    }
    Ref copy;
    if (!Latin1View(text, texts[i], copy)) return false;
    if (copy) copies.push_back(std::move(copy));
  }
  const std::string_view name = texts[0];
  const std::string_view value = Trimmed(texts[1]);
  if (!http::IsValidFieldName(name)) {
    PyErr_Format(PyExc_ValueError, "%R is not the name of a header", PyTuple_GetItem(pair, 0));
    return false;
  }
  if (!http::IsValidFieldValue(value)) {
    PyErr_Format(PyExc_ValueError,
                 "the value of header %R holds a line break or another control character",
                 PyTuple_GetItem(pair, 0));
    return false;
  }
  if (EqualsIgnoreCase(name, "Content-Length")) return TakeLength(value, head);
  head.fields.push_back({name, value});
  return true;
}

bool Head::ParseFields(PyObject* fields, std::vector<Ref>& copies, channel::ResponseHead& head) {
  if (PyList_Check(fields) == 0) {
    PyErr_SetString(PyExc_TypeError, "the headers are a list of tuples");
    return false;
  }
  const Py_ssize_t count = PyList_Size(fields);
  head.fields.reserve(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!ParseField(PyList_GetItem(fields, i), copies, head)) return false;
  }
  return true;
}

bool Head::EncodeEarlyHints(PyObject* fields, std::string& out) {
  channel::ResponseHead head{.status = 103};
  std::vector<Ref> copies;  // what the views need
  if (!ParseFields(fields, copies, head)) return false;
  channel::EncodeResponseHead(out, head);
  if (!head.content_length && out.size() <= channel::kEarlyHintsBytesMax) return true;
  PyErr_SetString(PyExc_ValueError,
                  "early hints are up to 8 KiB of headers, without a Content-Length");
  return false;
}

bool Head::Set(PyObject* status, PyObject* fields) {
  channel::ResponseHead head;
  std::vector<Ref> copies;  // what the views need
  std::string_view line;
  Ref line_copy;
  if (PyUnicode_Check(status) == 0) {
    PyErr_SetString(PyExc_TypeError, "a status is a str: \"200 OK\"");
    return false;
  }
  if (!Latin1View(status, line, line_copy) || !ParseStatus(line, head)) return false;
  if (!ParseFields(fields, copies, head)) return false;
  std::string encoded;
  channel::EncodeResponseHead(encoded, head);
  if (encoded.size() > channel::kResponseHeadBytesMax) {
    PyErr_SetString(PyExc_ValueError, "the headers are larger than 63 KiB together");
    return false;
  }
  status_ = head.status;
  content_length_ = head.content_length;
  encoded_ = std::move(encoded);
  return true;
}

class Exchange;

struct ExchangeObject {
  PyObject head;
  std::shared_ptr<Exchange> exchange;  // null when the request has ended
};

// called -> head set -> head sent -> ended. From any step to ended: failed, or for nobody.
class Exchange final : public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(worker::TakenRequest taken)
      : taken_(std::move(taken)), is_head_(request().method == "HEAD") {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // `self`: the object that holds this. Once.
  void Run(PyObject* self, const Runner& runner);
  bool HeldBack() const { return taken_.HeldBack(); }

  // Of the app, with its exceptions.
  bool StartResponse(PyObject* status, PyObject* fields, PyObject* exc_info);
  bool Write(PyObject* data);
  bool SendEarlyHints(PyObject* fields);
  bool Disconnected() const { return taken_.Cancelled(); }

 private:
  const channel::Request& request() const { return taken_.request(); }

  bool SendResult(PyObject* result);
  bool SendSequence(PyObject* sequence, Py_ssize_t size);
  bool SendParts(PyObject* result);
  bool SendFile(const WrappedFile& file);
  bool SendPart(PyObject* part, End end);
  bool Send(std::string_view bytes, End end);
  bool SendHead(std::string_view& bytes, End end);
  template <typename Step>
  bool Deliver(const Step& step);
  template <typename Step>
  Delivery WaitAsThread(const Step& step);
  template <typename Step>
  Delivery WaitAsGreenlet(const Step& step);
  void DeliverEnd(End end);
  bool HoldToLength(std::string_view& bytes);
  void CallApp(const Runner& runner);
  void LogFailure(std::string_view what);
  void Close(PyObject* result);
  void Finish();
  void Log(std::string_view what) const;

  bool wants_body() const { return !is_head_ && head_.may_have_body(); }
  bool is_short() const { return wants_body() && sent_ < head_.content_length().value_or(0); }

  worker::TakenRequest taken_;
  PyObject* self_ = nullptr;  // while it runs
  PyObject* wait_ = nullptr;  // the runner's
  Running* running_ = nullptr;
  const bool is_head_;
  Head head_;
  std::uint32_t early_hints_ = 0;  // sent so far
  bool head_sent_ = false;
  bool busy_ = false;    // somebody waits for the front, in the middle of a part
  bool nobody_ = false;  // the client has left, or the front has
  bool failed_ = false;  // the app has, or an exception met it in the middle of a part
  bool too_long_ = false;
  std::uint64_t sent_ = 0;  // of the body, as the app gave it
};

std::shared_ptr<Exchange>& Held(PyObject* self) {
  return reinterpret_cast<ExchangeObject*>(self)->exchange;
}
Exchange* Of(PyObject* self) {
  return Held(self).get();
}

// --- what the app calls ------------------------------------------------------

bool IsUsable(const Exchange* exchange) {
  if (exchange != nullptr) return true;
  PyErr_SetString(PyExc_RuntimeError, "the request has ended");
  return false;
}

PyObject* CallWrite(PyObject* self, PyObject* data) {
  if (!IsUsable(Of(self)) || !Of(self)->Write(data)) return nullptr;
  Py_RETURN_NONE;
}
PyMethodDef write_method = {"write", CallWrite, METH_O, "Sends bytes of the body at once."};

PyObject* CallStartResponse(PyObject* self,
                            PyObject* const* arguments,
                            Py_ssize_t count,
                            PyObject* keywords) {
  PyObject* exc_info = count == 3 ? arguments[2] : Py_None;
  Py_ssize_t given = count;
  if (keywords != nullptr && PyTuple_Size(keywords) == 1 && count == 2 &&
      PyUnicode_CompareWithASCIIString(PyTuple_GetItem(keywords, 0), "exc_info") == 0) {
    exc_info = arguments[2];  // a keyword's value stands behind the others
    given = 3;
  } else if (keywords != nullptr && PyTuple_Size(keywords) > 0) {
    given = 0;
  }
  if (given < 2 || given > 3) {
    PyErr_SetString(PyExc_TypeError, "start_response(status, headers, exc_info=None)");
    return nullptr;
  }
  if (!IsUsable(Of(self))) return nullptr;
  if (!Of(self)->StartResponse(arguments[0], arguments[1], exc_info)) return nullptr;
  return PyCFunction_New(&write_method, self);
}
PyMethodDef start_response_method = {
    "start_response",
    reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(CallStartResponse)),
    METH_FASTCALL | METH_KEYWORDS,
    "start_response(status, headers, exc_info=None): see PEP 3333."};

PyObject* CallDisconnected(PyObject* self, PyObject* /*none*/) {
  return PyBool_FromLong(Of(self) == nullptr || Of(self)->Disconnected() ? 1 : 0);
}
PyMethodDef disconnected_method = {
    "disconnected",
    CallDisconnected,
    METH_NOARGS,
    "Whether nobody waits for the response: the client has left, or has had its 504."};

PyObject* CallEarlyHints(PyObject* self, PyObject* fields) {
  if (!IsUsable(Of(self)) || !Of(self)->SendEarlyHints(fields)) return nullptr;
  Py_RETURN_NONE;
}
PyMethodDef early_hints_method = {"early_hints",
                                  CallEarlyHints,
                                  METH_O,
                                  "early_hints([(name, value), ...]): sends a 103 before the "
                                  "response, where the client takes one."};

void Delete(PyObject* self) {
  Held(self).~shared_ptr();
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("What start_response() and write() belong to.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(Delete)},
    {0, nullptr},
};

PyType_Spec spec = {"onebox._onebox.Exchange",
                    sizeof(ExchangeObject),
                    0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

// PEP 3333: with exc_info the app wants to replace a head that has not been sent; else it is told
// what it had caught.
bool Raise(PyObject* exc_info) {
  if (PyTuple_Check(exc_info) == 0 || PyTuple_Size(exc_info) != 3) {
    PyErr_SetString(PyExc_TypeError, "exc_info is what sys.exc_info() gives");
    return false;
  }
  PyObject* parts[3];
  for (Py_ssize_t i = 0; i < 3; ++i) {
    PyObject* part = PyTuple_GetItem(exc_info, i);
    parts[i] = part == Py_None ? nullptr : part;
    Py_XINCREF(parts[i]);
  }
  PyErr_Restore(parts[0], parts[1], parts[2]);
  if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_RuntimeError, "the head has been sent");
  return false;
}

bool Exchange::StartResponse(PyObject* status, PyObject* fields, PyObject* exc_info) {
  if (exc_info != Py_None) {
    if (head_sent_ || busy_) return Raise(exc_info);
  } else if (head_.is_set()) {
    PyErr_SetString(PyExc_RuntimeError, "start_response() was called before, without exc_info");
    return false;
  }
  return head_.Set(status, fields);
}

bool Exchange::Write(PyObject* data) {
  if (nobody_) {
    PyErr_SetString(PyExc_BrokenPipeError, "the client has left");
    return false;
  }
  if (SendPart(data, End::kNotYet)) return true;
  if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_BrokenPipeError, "the client has left");
  return false;
}

bool Exchange::SendEarlyHints(PyObject* fields) {
  if (head_sent_ || busy_) {
    PyErr_SetString(PyExc_RuntimeError, "early hints come before the response");
    return false;
  }
  if (early_hints_ == channel::kEarlyHintsMax) {
    PyErr_SetString(PyExc_RuntimeError, "16 early hints are as many as a request may have");
    return false;
  }
  std::string encoded;
  if (!Head::EncodeEarlyHints(fields, encoded)) return false;
  if (nobody_) return true;
  ++early_hints_;
  Deliver([&](IfFull if_full) { return taken_.SendEarlyHints(encoded, if_full); });
  if (PyErr_Occurred() == nullptr) return true;
  failed_ = false;  // what is missing is no part of the response
  return false;
}

// --- sending -----------------------------------------------------------------

// False where nobody wants the response any more, or with an exception. The front takes most frames
// at once; where it does not, other threads or greenlets run while this one waits.
template <typename Step>
bool Exchange::Deliver(const Step& step) {
  Delivery delivery = step(wait_ == nullptr ? IfFull::kReturn : IfFull::kWake);
  if (delivery == Delivery::kFull) {
    const auto held = shared_from_this();  // the request may end meanwhile, by another's hand
    busy_ = true;
    delivery = wait_ == nullptr ? WaitAsThread(step) : WaitAsGreenlet(step);
    busy_ = false;
    if (delivery == Delivery::kFull) {
      failed_ = true;  // a part is missing now, or the head: nothing can follow
      return false;
    }
  }
  nobody_ = delivery != Delivery::kSent;
  return !nobody_;
}

template <typename Step>
Delivery Exchange::WaitAsThread(const Step& step) {
  const WithoutGil others;
  return step(IfFull::kWait);
}

// kFull where an exception was thrown into the greenlet.
template <typename Step>
Delivery Exchange::WaitAsGreenlet(const Step& step) {
  Delivery delivery = Delivery::kFull;
  while (delivery == Delivery::kFull) {
    const Ref woken = Ref::Take(PyObject_CallFunctionObjArgs(wait_, self_, nullptr));
    if (!woken) return Delivery::kFull;
    if (taken_.ended()) return Delivery::kCancelled;
    delivery = step(IfFull::kWake);
  }
  return delivery;
}

// The end gets through, whatever is thrown into its greenlet meanwhile: a slot is not free before.
void Exchange::DeliverEnd(End end) {
  if (Deliver([&](IfFull if_full) { return taken_.SendEnd(end, if_full); })) return;
  if (PyErr_Occurred() == nullptr) return;
  PyErr_Clear();
  const WithoutGil others;
  taken_.SendEnd(end, IfFull::kWait);
}

// Cuts what goes beyond the length that the app has promised. False with nothing left to send.
bool Exchange::HoldToLength(std::string_view& bytes) {
  if (!head_.content_length()) return true;
  const std::uint64_t left = *head_.content_length() - std::min(sent_, *head_.content_length());
  if (bytes.size() <= left) return true;
  too_long_ = true;
  bytes = bytes.substr(0, left);
  return !bytes.empty();
}

bool Exchange::SendHead(std::string_view& bytes, End end) {
  head_sent_ = true;
  if (running_ != nullptr) running_->AnswerBegins();
  return Deliver(
      [&](IfFull if_full) { return taken_.SendHead(head_.encoded(), bytes, end, if_full); });
}

// False where nobody wants it, without an exception.
bool Exchange::Send(std::string_view bytes, End end) {
  if (!head_sent_) {
    if (!SendHead(bytes, end)) return false;
    if (bytes.empty()) return true;
  }
  return Deliver([&](IfFull if_full) { return taken_.SendBody(bytes, end, if_full); });
}

// `part`, with `end` where it is the last. False with an exception, or where nobody wants it.
bool Exchange::SendPart(PyObject* part, End end) {
  if (PyBytes_Check(part) == 0) {
    PyErr_Format(PyExc_TypeError, "a body is made of bytes, not of %R", Py_TYPE(part));
    return false;
  }
  if (!head_.is_set()) {
    PyErr_SetString(PyExc_RuntimeError, "the app sent a body before it called start_response()");
    return false;
  }
  if (busy_) {
    PyErr_SetString(PyExc_RuntimeError, "two threads write one response");
    return false;
  }
  if (failed_) {
    PyErr_SetString(PyExc_RuntimeError, "the response was broken off before");
    return false;
  }
  std::string_view bytes = ViewOf(part);
  if (!wants_body()) bytes = {};
  const bool any = !bytes.empty() && HoldToLength(bytes);
  sent_ += bytes.size();
  if (is_short()) end = End::kNotYet;  // Finish() says what is missing
  if (!any && end == End::kNotYet) return true;
  const Ref held = Ref::Share(part);  // the app may drop it while we wait
  return Send(bytes, end);
}

bool Exchange::SendFile(const WrappedFile& file) {
  std::uint64_t size = file.rest.length;
  if (!head_.content_length()) head_.SetContentLength(size);
  size = std::min(size, *head_.content_length());  // PEP 3333: no more of it, and no mistake
  sent_ += size;
  if (!Send({}, End::kNotYet) || size == 0) return !nobody_;
  os::Fd borrowed(file.descriptor);
  const End end = sent_ == *head_.content_length() ? End::kComplete : End::kBrokenOff;
  const bool sent = Deliver([&](IfFull if_full) {
    return taken_.SendFile(borrowed, {file.rest.offset, size}, end, if_full);
  });
  static_cast<void>(borrowed.Release());
  return sent;
}

// A list or tuple: all parts are here, so that the length is known and the end goes with the last.
bool Exchange::SendSequence(PyObject* sequence, Py_ssize_t size) {
  const auto part = [&](Py_ssize_t i) {
    return PyList_Check(sequence) != 0 ? PyList_GetItem(sequence, i) : PyTuple_GetItem(sequence, i);
  };
  std::uint64_t bytes = 0;
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (PyBytes_Check(part(i)) != 0) bytes += ViewOf(part(i)).size();
  }
  if (head_.is_set() && !head_.content_length() && !head_sent_) head_.SetContentLength(bytes);
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* item = part(i);  // another thread may have changed the list: then it is an error
    if (item == nullptr) return false;
    if (!SendPart(item, i + 1 == size ? End::kComplete : End::kNotYet)) return false;
  }
  return true;
}

bool HasLengthOfOne(PyObject* object) {
  if (PyType_GetSlot(Py_TYPE(object), Py_sq_length) == nullptr) return false;
  const Py_ssize_t size = PyObject_Size(object);
  if (size < 0) PyErr_Clear();
  return size == 1;
}

bool Exchange::SendParts(PyObject* result) {
  bool may_tell_length = HasLengthOfOne(result);
  const Ref iterator = Ref::Take(PyObject_GetIter(result));
  if (!iterator) return false;
  while (!nobody_ && !(head_.is_set() && !wants_body())) {
    if (taken_.Cancelled()) {
      nobody_ = true;
      return false;
    }
    const Ref part = Ref::Take(PyIter_Next(iterator.get()));
    if (!part) return PyErr_Occurred() == nullptr;
    if (std::exchange(may_tell_length, false) && PyBytes_Check(part.get()) != 0 && head_.is_set() &&
        !head_.content_length() && !head_sent_) {
      head_.SetContentLength(ViewOf(part.get()).size());
    }
    if (!SendPart(part.get(), End::kNotYet)) return false;
    if (too_long_) return true;
  }
  return true;
}

// What has no close() and tells its length: most answers of small apps.
bool IsPlainSequence(PyObject* result) {
  return PyList_CheckExact(result) != 0 || PyTuple_CheckExact(result) != 0;
}

bool Exchange::SendResult(PyObject* result) {
  if (IsFileWrapper(result) && head_.is_set() && !head_sent_ && wants_body()) {
    if (const auto file = FileOf(result)) return SendFile(*file);
  }
  if (!IsPlainSequence(result)) return SendParts(result);
  const Py_ssize_t size = PyObject_Size(result);
  return size > 0 ? SendSequence(result, size) : SendParts(result);
}

// --- a request's life --------------------------------------------------------

void Exchange::Log(std::string_view what) const {
  LogLines(request().id, fmt::format("{}: {}", worker::LineOf(request()), what));
}

// The watch may raise here what would arrive at the next line of Python, or where a greenlet waits
// next: from here on that would be a line of ours, of close(), or of the next request.
void LetNothingBeRaised(const Runner& runner) {
  if (runner.place.Close()) runner.interrupter.TakeBack(runner.place.name());
}

// The exception that is set; clears it.
void Exchange::LogFailure(std::string_view what) {
  const bool too_late = nobody_ && PyErr_ExceptionMatches(PyExc_BrokenPipeError) != 0;
  if (too_late) return PyErr_Clear();
  if (taken_.Cancelled() && PyErr_ExceptionMatches(Known().cancelled) != 0) {
    const bool by_deadline = PyErr_ExceptionMatches(Known().deadline_exceeded) != 0;
    PyErr_Clear();
    return Log(by_deadline ? "ended, since its deadline had passed"
                           : "ended, since its client had left");
  }
  LogException(request().id, fmt::format("{}: {}", worker::LineOf(request()), what));
}

void Exchange::Close(PyObject* result) {
  const Ref close = Ref::Take(PyObject_GetAttr(result, Known().close));
  if (!close) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError) != 0) return PyErr_Clear();
  } else if (Ref::Take(PyObject_CallNoArgs(close.get()))) {
    return;
  }
  LogFailure("close() failed");
}

void Exchange::Finish() {
  if (taken_.ended()) return;
  if (failed_ || nobody_) {
    return DeliverEnd(End::kBrokenOff);
  }
  if (!head_.is_set()) {
    Log("the app did not call start_response()");
    return DeliverEnd(End::kBrokenOff);
  }
  if (is_short()) {
    Log(fmt::format("said Content-Length: {} and sent {} bytes", *head_.content_length(), sent_));
  }
  End end = is_short() ? End::kBrokenOff : End::kComplete;
  if (!head_sent_) {
    Send({}, end);
    if (taken_.ended()) return;
    if (failed_) {  // without the head
      PyErr_Clear();
      end = End::kBrokenOff;
    }
  }
  DeliverEnd(end);
}

void Exchange::Run(PyObject* self, const Runner& runner) {
  self_ = self;
  wait_ = runner.wait;
  Running running(request(), runner.greenlet);
  running_ = &running;
  runner.place.Begin(taken_);
  CallApp(runner);
  runner.place.End();
  running_ = nullptr;
}

void Exchange::CallApp(const Runner& runner) {
  const Ref start = Ref::Take(PyCFunction_New(&start_response_method, self_));
  const Ref errors = NewErrorStream(request().id);
  const Ref disconnected = Ref::Take(PyCFunction_New(&disconnected_method, self_));
  const Ref early_hints = Ref::Take(PyCFunction_New(&early_hints_method, self_));
  Ref environ = start && errors && disconnected && early_hints
                    ? runner.environ_maker.Make(request(),
                                                taken_.TakeBodyFile(),
                                                {.errors = errors.get(),
                                                 .disconnected = disconnected.get(),
                                                 .early_hints = early_hints.get()})
                    : Ref();
  const Ref result =
      environ
          ? Ref::Take(PyObject_CallFunctionObjArgs(runner.app, environ.get(), start.get(), nullptr))
          : Ref();
  const bool sent = result && SendResult(result.get());
  LetNothingBeRaised(runner);
  if (!sent && PyErr_Occurred() != nullptr) {
    failed_ = true;
    LogFailure("the app failed");
  }
  if (too_long_) {
    Log(fmt::format("sent more than its Content-Length: {}", *head_.content_length()));
  }
  if (result && !IsPlainSequence(result.get())) Close(result.get());
  Finish();
}

}  // namespace

PyTypeObject* MakeExchangeType(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

Ref NewExchange(worker::TakenRequest taken) {
  const auto allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(Known().exchange, Py_tp_alloc));
  Ref object = Ref::Take(allocate(Known().exchange, 0));
  if (!object) return object;
  new (&Held(object.get())) std::shared_ptr(std::make_shared<Exchange>(std::move(taken)));
  return object;
}

bool IsExchange(PyObject* object) {
  return Py_TYPE(object) == Known().exchange;
}

void RunExchange(PyObject* exchange, const Runner& runner) {
  const Ref object = Ref::Share(exchange);
  const std::shared_ptr<Exchange> held = Held(exchange);
  if (held == nullptr) return;
  held->Run(exchange, runner);
  Held(exchange) = nullptr;
}

bool IsHeldBack(PyObject* exchange) {
  return Of(exchange) != nullptr && Of(exchange)->HeldBack();
}

PyObject* Deadline(PyObject* /*module*/, PyObject* /*none*/) {
  const channel::Request* const request = RunningRequest();
  if (request == nullptr || request->deadline == 0) Py_RETURN_NONE;
  const Duration left = Time(Duration(request->deadline)) - os::SystemClock().Now();
  return PyFloat_FromDouble(std::chrono::duration<double>(left).count());
}

}  // namespace onebox::pyext
