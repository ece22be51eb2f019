#include "front/responder.h"

namespace onebox::front {

void AppendFields(std::string& out, const AnswerHead& head, const Peer& peer) {
  const std::size_t begin = out.size();
  out += head.fields;
  if (head.rules != nullptr) head.rules->Apply(out, begin, peer.endpoint->secure);
}

}  // namespace onebox::front
