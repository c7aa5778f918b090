/* What a client's request is about: the component that its method names in params, or in the ref
 * of a completion. */
#ifndef LN_MCP_SUBJECT_H
#define LN_MCP_SUBJECT_H

#include "mcp/method.h"
#include "rpc/message.h"

struct ln_subject {
  enum ln_kind kind;   /* LN_KINDS: it names nothing */
  struct ln_str value; /* the raw member of msg, with quotes; absent when missing */
};

/* method: msg's row. */
struct ln_subject ln_subject_of(const struct ln_method *method, const struct ln_msg *msg);

#endif
