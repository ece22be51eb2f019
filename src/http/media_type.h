#pragma once
// Media types by file name, with what can be said of them.

#include <string_view>

namespace onebox::http {

// Content-Type by the extension of the file's name, in any case; text types say charset=utf-8.
// "application/octet-stream" where it is not known.
std::string_view MediaTypeOf(std::string_view file_name);

// Whether compressing content of that type is worth it; parameters are ignored.
bool IsCompressible(std::string_view content_type);

}  // namespace onebox::http
