#include "pyext/interned.h"

#include "pyext/error_stream.h"
#include "pyext/exchange.h"
#include "pyext/file_wrapper.h"

namespace onebox::pyext {
namespace {

Interned known;  // written once, under the GIL, before anybody reads

bool Import(const char* module_name, const char* attribute, PyObject*& out) {
  const Ref module = Ref::Take(PyImport_ImportModule(module_name));
  if (!module) return false;
  out = PyObject_GetAttrString(module.get(), attribute);
  return out != nullptr;
}

bool Name(const char* text, PyObject*& out) {
  out = PyUnicode_InternFromString(text);
  return out != nullptr;
}

}  // namespace

const Interned& Known() {
  return known;
}

bool MakeInterned(PyObject* module) {
  known.exchange = MakeExchangeType(module);
  known.error_stream = MakeErrorStreamType(module);
  known.file_wrapper = MakeFileWrapperType(module);
  return known.exchange != nullptr && known.error_stream != nullptr &&
         known.file_wrapper != nullptr && Import("io", "BytesIO", known.bytes_io) &&
         Import("io", "open", known.open) && Import("io", "FileIO", known.file_io) &&
         Import("io", "BufferedReader", known.buffered_reader) &&
         Import("io", "BufferedRandom", known.buffered_random) &&
         Import("traceback", "format_exception", known.format_exception) &&
         Import("onebox.cancelled", "Cancelled", known.cancelled) &&
         Import("onebox.cancelled", "DeadlineExceeded", known.deadline_exceeded) &&
         Import("onebox.cancelled", "ClientDisconnected", known.client_disconnected) &&
         Import("onebox.stacks", "of_thread", known.stack_of_thread) &&
         Import("onebox.stacks", "of_greenlet", known.stack_of_greenlet) &&
         Name("close", known.close) && Name("read", known.read) && Name("fileno", known.fileno) &&
         Name("tell", known.tell) && Name("raw", known.raw) && Name("file", known.file);
}

}  // namespace onebox::pyext
