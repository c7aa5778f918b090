/* Kinds of content that a protocol version doesn't know yet. */
#ifndef LN_MCP_CONTENT_H
#define LN_MCP_CONTENT_H

#include "rpc/message.h"

/* True when the version lacks a kind of content that later ones have: audio came with 2025-03-26,
 * resource_link with 2025-06-18. */
bool ln_content_version_lacks(struct ln_str version);
/* A reply to tools/call or prompts/get with what the version doesn't know described as text. The
 * reply itself when there is nothing of the kind, else a new one; takes and gives one reference. */
struct ln_msg *ln_content_for_version(struct ln_msg *reply, struct ln_str version);

#endif
