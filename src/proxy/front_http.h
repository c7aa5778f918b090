/* Inside the HTTP front: its parts, split by what they do. front_http.c answers requests,
 * front_gate.c decides which may come in at all. */
#ifndef LN_PROXY_FRONT_HTTP_H
#define LN_PROXY_FRONT_HTTP_H

#include "proxy/front.h"
#include "transport/http_server.h"

/* Why a request is turned away. status 0: it is not. */
struct ln_gate {
  int status;
  int code; /* JSON-RPC */
  const char *why;
  const char *headers; /* whole lines, or NULL */
};

/* Origin and Host (DNS rebinding): what browsers send from elsewhere is refused. loopback: the
 * server listens on a loopback address. */
struct ln_gate ln_gate_origin(const struct ln_http_head *head, bool loopback);
/* Method and, for POST, Content-Type and Accept. */
struct ln_gate ln_gate_mcp(const struct ln_http_head *head);
/* MCP-Protocol-Version, when there is one. */
struct ln_gate ln_gate_version(const struct ln_http_head *head);
/* Mcp-Method and Mcp-Name, when there, say what the message says. */
struct ln_gate ln_gate_routing(const struct ln_http_head *head, const struct ln_msg *msg);
/* A copy of the headers for policies (see ln_front_headers_json). NULL: out of memory. */
struct ln_bytes *ln_gate_headers(const struct ln_http_head *head);

#endif
