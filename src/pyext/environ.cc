#include "pyext/environ.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ascii.h"
#include "os/file.h"
#include "pyext/interned.h"

namespace onebox::pyext {
namespace {

constexpr std::size_t kFieldKeysMax = 1000;  // clients choose the names

// CONTENT_TYPE and CONTENT_LENGTH stand alone, the others with HTTP_ (RFC 3875 4.1.18). What is said of the
// client's certificate is the front's own: no field of a client has "_" in its name.
std::string VariableName(std::string_view field_name) {
  if (field_name.starts_with("SSL_CLIENT_")) return std::string(field_name);
  std::string name;
  for (const char c : field_name) {
    name += c == '-' ? '_' : ToUpper(c);
  }
  return name == "CONTENT_TYPE" || name == "CONTENT_LENGTH" ? name : "HTTP_" + name;
}

std::string_view NameOfProtocol(const channel::Request& request) {
  if (request.version_minor == channel::kHttp2) return "HTTP/2.0";
  return request.version_minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

}  // namespace

bool EnvironMaker::Prepare(bool multithread, bool multiprocess, const std::string& software) {
  const struct {
    const char* name;
    PyObject*& key;
  } names[] = {
      {"REQUEST_METHOD", keys_.method},
      {"PATH_INFO", keys_.path},
      {"QUERY_STRING", keys_.query},
      {"RAW_URI", keys_.raw_uri},
      {"REQUEST_URI", keys_.request_uri},
      {"SERVER_PROTOCOL", keys_.protocol},
      {"wsgi.url_scheme", keys_.scheme},
      {"SERVER_NAME", keys_.server_name},
      {"SERVER_PORT", keys_.server_port},
      {"REMOTE_ADDR", keys_.remote_addr},
      {"REMOTE_PORT", keys_.remote_port},
      {"wsgi.input", keys_.input},
      {"wsgi.errors", keys_.errors},
      {"onebox.disconnected", keys_.disconnected},
      {"wsgi.early_hints", keys_.early_hints},
  };
  for (const auto& name : names) {
    name.key = PyUnicode_InternFromString(name.name);
    if (name.key == nullptr) return false;
  }
  template_ = Ref::Take(Py_BuildValue("{s:s, s:s#, s:(ii), s:O, s:O, s:O, s:O}",
                                      "SCRIPT_NAME",
                                      "",
                                      "SERVER_SOFTWARE",
                                      software.data(),
                                      static_cast<Py_ssize_t>(software.size()),
                                      "wsgi.version",
                                      1,
                                      0,
                                      "wsgi.multithread",
                                      multithread ? Py_True : Py_False,
                                      "wsgi.multiprocess",
                                      multiprocess ? Py_True : Py_False,
                                      "wsgi.run_once",
                                      Py_False,
                                      "wsgi.file_wrapper",
                                      reinterpret_cast<PyObject*>(Known().file_wrapper)));
  return static_cast<bool>(template_);
}

bool EnvironMaker::Set(Ref& environ, PyObject* key, const Ref& value) const {
  return value && PyDict_SetItem(environ.get(), key, value.get()) == 0;
}

PyObject* EnvironMaker::UsualText(Usual& usual, std::string_view bytes) {
  if (!usual.text || usual.bytes != bytes) {
    usual.bytes = bytes;
    usual.text = Latin1(bytes);
  }
  return usual.text.get();
}

const EnvironMaker::Key* EnvironMaker::KeyOf(std::string_view field_name) {
  const auto found = field_keys_.find(field_name);
  if (found != field_keys_.end()) return &found->second;
  const std::string name = VariableName(field_name);
  const bool keep = field_keys_.size() < kFieldKeysMax;
  // Interned: "X-A" and "x-a" have one and the same name.
  Key key{keep ? Ref::Take(PyUnicode_InternFromString(name.c_str())) : Latin1(name),
          name == "HTTP_COOKIE"};
  if (!key.name) return nullptr;
  if (keep) {
    return &field_keys_.emplace(field_name, std::move(key)).first->second;
  }
  other_key_ = std::move(key);
  return &other_key_;
}

// A field that comes again is one with the values in a row (RFC 9110 5.3); cookies have their own
// separator (RFC 6265 5.4).
bool EnvironMaker::SetField(Ref& environ, const Key& key, std::string_view value) {
  PyObject* name = key.name.get();
  const bool again = seen_other_ || &key == &other_key_ ||
                     std::find(seen_.begin(), seen_.end(), name) != seen_.end();
  seen_other_ = seen_other_ || &key == &other_key_;
  PyObject* before = again ? PyDict_GetItemWithError(environ.get(), name) : nullptr;
  Ref text = Latin1(value);
  if (!text || PyErr_Occurred() != nullptr) return false;
  if (before != nullptr) {
    text = Ref::Take(PyUnicode_FromFormat(key.is_cookie ? "%U; %U" : "%U, %U", before, text.get()));
  }
  seen_.push_back(name);
  return Set(environ, name, text);
}

bool EnvironMaker::SetFields(Ref& environ, const channel::Request& request) {
  seen_.clear();
  seen_other_ = false;
  return std::all_of(request.fields.begin(), request.fields.end(), [&](const auto& field) {
    const Key* key = KeyOf(field.name);
    return key != nullptr && SetField(environ, *key, field.value);
  });
}

// Both kinds are what the standard library reads best: bounded by the body, in every way of reading.
Ref EnvironMaker::Input(const channel::Request& request, const os::Fd& file) const {
  if (request.body_place == channel::BodyPlace::kNone) {
    return Ref::Take(PyObject_CallNoArgs(Known().bytes_io));
  }
  if (request.body_place == channel::BodyPlace::kInline) {
    const Ref body = Bytes(request.body);
    if (!body) return {};
    return Ref::Take(PyObject_CallFunctionObjArgs(Known().bytes_io, body.get(), nullptr));
  }
  auto reopened = os::Reopen(file);  // the same open file may go to another worker after us
  if (!reopened.ok()) {
    PyErr_SetString(PyExc_OSError, reopened.error().message.c_str());
    return {};
  }
  return Ref::Take(PyObject_CallFunction(Known().open, "is", reopened.value().Release(), "rb"));
}

Ref EnvironMaker::Make(const channel::Request& request, const os::Fd& file, const Added& added) {
  Ref environ = Ref::Take(PyDict_Copy(template_.get()));
  if (!environ) return {};
  const auto set_usual = [&](PyObject* key, Usual& usual, std::string_view bytes) {
    PyObject* text = UsualText(usual, bytes);
    return text != nullptr && PyDict_SetItem(environ.get(), key, text) == 0;
  };
  const std::string server_port = fmt::format_int(request.server_port).str();
  const Ref target = Latin1(request.target);
  const bool made =
      target && set_usual(keys_.method, method_, request.method) &&
      Set(environ, keys_.path, Latin1(request.path)) &&
      Set(environ, keys_.query, Latin1(request.query)) && Set(environ, keys_.raw_uri, target) &&
      Set(environ, keys_.request_uri, target) &&
      set_usual(keys_.protocol, protocol_, NameOfProtocol(request)) &&
      set_usual(keys_.scheme, scheme_, request.scheme) &&
      set_usual(keys_.server_name, server_name_, request.server_name) &&
      set_usual(keys_.server_port, server_port_, server_port) &&
      set_usual(keys_.remote_addr, remote_addr_, request.client_address) &&
      (request.client_port == 0 ||
       Set(environ, keys_.remote_port, Latin1(fmt::format_int(request.client_port).str()))) &&
      Set(environ, keys_.input, Input(request, file)) &&
      PyDict_SetItem(environ.get(), keys_.errors, added.errors) == 0 &&
      PyDict_SetItem(environ.get(), keys_.disconnected, added.disconnected) == 0 &&
      PyDict_SetItem(environ.get(), keys_.early_hints, added.early_hints) == 0 &&
      SetFields(environ, request);
  if (!made) return {};
  return environ;
}

}  // namespace onebox::pyext
