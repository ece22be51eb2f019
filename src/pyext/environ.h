#pragma once
// environ: what PEP 3333 has the server say of a request.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channel/request.h"
#include "os/fd.h"
#include "pyext/python.h"

namespace onebox::pyext {

// Makes them all for one worker process. Under the GIL.
class EnvironMaker final {
 public:
  // False with an exception. Once, before Make().
  bool Prepare(bool multithread, bool multiprocess, const std::string& software);

  // What the request's exchange adds.
  struct Added {
    PyObject* errors = nullptr;        // wsgi.errors
    PyObject* disconnected = nullptr;  // onebox.disconnected
    PyObject* early_hints = nullptr;   // wsgi.early_hints
  };
  // A new dict, or empty with an exception. `file`: the body, with BodyPlace::kFile.
  Ref Make(const channel::Request& request, const os::Fd& file, const Added& added);

 private:
  // A text that is the same for most requests, made again where it is not.
  struct Usual {
    std::string bytes;
    Ref text;
  };
  struct Key {
    Ref name;
    bool is_cookie = false;
  };
  struct Hash {  // finds by string_view without a copy
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>()(name);
    }
  };

  bool Set(Ref& environ, PyObject* key, const Ref& value) const;
  PyObject* UsualText(Usual& usual, std::string_view bytes);
  bool SetFields(Ref& environ, const channel::Request& request);
  bool SetField(Ref& environ, const Key& key, std::string_view value);
  const Key* KeyOf(std::string_view field_name);
  Ref Input(const channel::Request& request, const os::Fd& file) const;

  struct Keys {
    PyObject *method, *path, *query, *raw_uri, *request_uri, *protocol, *scheme;
    PyObject *server_name, *server_port, *remote_addr, *remote_port, *input, *errors, *disconnected;
    PyObject* early_hints;
  };
  Keys keys_{};
  Ref template_;  // what is the same in every request
  Usual method_, protocol_, scheme_, server_name_, server_port_, remote_addr_;
  // By the name as it was sent. Only grows, up to kFieldKeysMax.
  std::unordered_map<std::string, Key, Hash, std::equal_to<>> field_keys_;
  Key other_key_;                // of a name beyond that
  std::vector<PyObject*> seen_;  // names of this request's fields; of the kept ones each is unique
  bool seen_other_ = false;
};

}  // namespace onebox::pyext
