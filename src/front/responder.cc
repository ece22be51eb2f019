#include "front/responder.h"

namespace onebox::front {

void ApplyRules(std::string& out, std::size_t begin, const AnswerHead& head, const Peer& peer) {
  if (head.rules != nullptr) head.rules->Apply(out, begin, peer.endpoint->secure);
}

void AppendFields(std::string& out, const AnswerHead& head, const Peer& peer) {
  const std::size_t begin = out.size();
  out += head.fields;
  ApplyRules(out, begin, head, peer);
}

}  // namespace onebox::front
