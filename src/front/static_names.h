#pragma once
// What a file's name says: whether it may be asked for, and whether its bytes can ever change.

#include <string_view>

namespace onebox::front {

// Whether `name`, relative to its folder, is a plain name of a file: no segment is empty or begins
// with "." (hidden files, "." and ".."), and there is no NUL, which would end it early.
bool IsServableName(std::string_view name);

// Whether the file's name carries a hash of its content, as asset builders write it, so that other
// bytes get another name. Two forms, after a "." or "-" and before an extension:
//   - 8 or more hexadecimal digits of one case, with a letter and a digit among them, anywhere behind
//     the first part: "app.55e7cbb9ba48.css", "2.1a2b3c4d.chunk.js" (Django, webpack, Next.js);
//   - 8 base64url characters in the last part, which change often between capitals, small letters
//     and digits: "index-BfZ3k9aQ.js" (Vite, Rollup).
// In doubt it is no hash, since a wrong yes keeps an old file for a year: dates ("20240131"), words
// ("Chapter1", "deadbeef"), UUIDs and names that are nothing but digits of a key ("507f1f77bcf8.png")
// are none. So some hashes are not seen.
bool CarriesContentHash(std::string_view file_name);

}  // namespace onebox::front
