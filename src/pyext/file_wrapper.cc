#include "pyext/file_wrapper.h"

#include "os/folder.h"
#include "pyext/interned.h"

namespace onebox::pyext {
namespace {

constexpr Py_ssize_t kBlockBytes = 64 << 10;

struct FileWrapper {
  PyObject head;
  PyObject* file;
  Py_ssize_t block_bytes;
};

FileWrapper* Of(PyObject* self) {
  return reinterpret_cast<FileWrapper*>(self);
}

PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"filelike", "block_size", nullptr};
  PyObject* file = nullptr;
  Py_ssize_t block_bytes = kBlockBytes;
  if (PyArg_ParseTupleAndKeywords(
          arguments, keywords, "O|n:FileWrapper", const_cast<char**>(names), &file, &block_bytes) ==
      0) {
    return nullptr;
  }
  const auto allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  PyObject* self = allocate(type, 0);
  if (self == nullptr) return nullptr;
  Py_INCREF(file);
  Of(self)->file = file;
  Of(self)->block_bytes = block_bytes > 0 ? block_bytes : kBlockBytes;
  return self;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Of(self)->file);
  Py_VISIT(Py_TYPE(self));
  return 0;
}

int Clear(PyObject* self) {
  Py_CLEAR(Of(self)->file);
  return 0;
}

void Delete(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Clear(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

PyObject* Next(PyObject* self) {
  const Ref size = Ref::Take(PyLong_FromSsize_t(Of(self)->block_bytes));
  if (!size) return nullptr;
  Ref block =
      Ref::Take(PyObject_CallMethodObjArgs(Of(self)->file, Known().read, size.get(), nullptr));
  if (!block) return nullptr;
  const int more = PyObject_IsTrue(block.get());
  return more > 0 ? block.Release() : nullptr;  // nothing and no exception: the end
}

PyObject* Close(PyObject* self, PyObject* /*none*/) {
  const Ref close = Ref::Take(PyObject_GetAttr(Of(self)->file, Known().close));
  if (!close) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return nullptr;
    PyErr_Clear();
    Py_RETURN_NONE;
  }
  return PyObject_CallNoArgs(close.get());
}

PyMethodDef methods[] = {
    {"close", Close, METH_NOARGS, "Closes the file."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("FileWrapper(filelike, block_size=65536)\n--\n\n"
                       "A file as a response's body; handed over as a file where it is one.")},
    {Py_tp_new, reinterpret_cast<void*>(New)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Delete)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(Next)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"onebox._onebox.FileWrapper",
                    sizeof(FileWrapper),
                    0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                    slots};

// The integer that a method without arguments gives; nothing where it gives none.
std::optional<long long> Ask(PyObject* object, PyObject* method) {
  const Ref answer = Ref::Take(PyObject_CallMethodObjArgs(object, method, nullptr));
  const long long number = answer ? PyLong_AsLongLong(answer.get()) : -1;
  if (PyErr_Occurred() == nullptr && number >= 0) return number;
  PyErr_Clear();
  return std::nullopt;
}

bool Is(PyObject* object, PyObject* type) {
  return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type;
}

Ref Attribute(PyObject* object, PyObject* name) {
  Ref found = Ref::Take(PyObject_GetAttr(object, name));
  if (!found) PyErr_Clear();
  return found;
}

// Whether read() gives what is in the file. A gzip.GzipFile has a descriptor too, of other bytes; so may
// what is derived from these types, or made of them by somebody else.
bool GivesItsDescriptorsBytes(PyObject* file) {
  if (Is(file, Known().file_io)) return true;
  if (Is(file, Known().buffered_reader) || Is(file, Known().buffered_random)) {
    const Ref raw = Attribute(file, Known().raw);
    return raw && Is(raw.get(), Known().file_io);
  }
  // What tempfile.NamedTemporaryFile() gives passes all on to the file in it.
  const Ref module = Ref::Take(PyImport_ImportModule("tempfile"));
  const Ref wrapper =
      module ? Ref::Take(PyObject_GetAttrString(module.get(), "_TemporaryFileWrapper")) : Ref();
  if (!wrapper) PyErr_Clear();
  if (!wrapper || !Is(file, wrapper.get())) return false;
  const Ref inner = Attribute(file, Known().file);
  return inner && GivesItsDescriptorsBytes(inner.get());
}

}  // namespace

PyTypeObject* MakeFileWrapperType(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

bool IsFileWrapper(PyObject* object) {
  return Py_TYPE(object) == Known().file_wrapper;
}

std::optional<WrappedFile> FileOf(PyObject* wrapper) {
  PyObject* file = Of(wrapper)->file;
  if (!GivesItsDescriptorsBytes(file)) return std::nullopt;
  const auto descriptor = Ask(file, Known().fileno);
  if (!descriptor) return std::nullopt;
  const auto position = Ask(file, Known().tell);
  if (!position) return std::nullopt;
  os::Fd borrowed(static_cast<int>(*descriptor));
  const auto facts = os::FactsOf(borrowed);
  static_cast<void>(borrowed.Release());
  if (!facts.ok() || !facts.value().regular) return std::nullopt;
  const auto offset = static_cast<std::uint64_t>(*position);
  const std::uint64_t size = facts.value().size;
  return WrappedFile{static_cast<int>(*descriptor),
                     {.offset = offset, .length = size > offset ? size - offset : 0}};
}

}  // namespace onebox::pyext
