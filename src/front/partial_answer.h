#pragma once
// An answer to a request for byte ranges (RFC 9110 14): one part, several, or none of that kind.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "front/body.h"

namespace onebox::front {

// What parts are taken from.
struct Divisible {
  std::string_view fields;  // whole lines, without Content-Type, Content-Length and Content-Range
  std::string_view media_type;  // empty: it has none
  std::string_view bytes;       // may be a mapped file's: they are not read here
};

struct PartialAnswer {
  int status = 200;                           // 206 and 416; 200: answer with the whole
  std::shared_ptr<const std::string> fields;  // whole lines, Content-Length among them; not for 200
  Body body;
};

// `range` is the value of a Range field that applies; `piece_of` makes a piece of some of the bytes.
PartialAnswer PartialOf(std::string_view range,
                        const Divisible& whole,
                        const std::function<Piece(std::string_view)>& piece_of);

}  // namespace onebox::front
