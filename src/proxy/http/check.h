/* Checks of the heads of HTTP requests, before their bodies are looked at. No I/O, and nothing of
 * sessions. */
#ifndef LN_PROXY_HTTP_CHECK_H
#define LN_PROXY_HTTP_CHECK_H

#include "proxy/http/refusal.h"
#include "rpc/message.h"
#include "wire/http.h"
#include "wire/http_host.h"

/* The hosts under which the server may be reached. */
struct ln_check_hosts {
  struct ln_http_hosts hosts; /* `listed` is borrowed */
  const char *const *origins; /* of other pages that may come in, borrowed; NULL: none */
  char own_name[256];         /* the machine's */
  char last[64];              /* the last host that was accepted: most requests have the same */
  size_t last_n;
  char why[160]; /* of the last refusal */
};
/* loopback: the server listens on a loopback address. */
void ln_check_hosts_init(struct ln_check_hosts *c, bool loopback);
/* Sets the hosts and origins listed by the policy in force (NULL: none). They must live until the
 * next call. */
void ln_check_hosts_list(struct ln_check_hosts *c, const char *const *listed,
                         const char *const *origins);
/* Origin and Host, against DNS rebinding (basic/transports, "Security Warning"). Pages may come in
 * from the hosts that they are served by, listed origins, and on loopback from loopback's. *origin:
 * the page's, absent where none is named. The refusal's why is valid until the next call. */
struct ln_refusal ln_check_origin(struct ln_check_hosts *c, const struct ln_http_head *head,
                                  struct ln_str *origin);
/* Whether Accept (its first line) prefers a stream to plain JSON. */
bool ln_check_prefers_stream(const struct ln_http_head *head);
/* Method and, for POST, Content-Type and Accept. */
struct ln_refusal ln_check_mcp(const struct ln_http_head *head);
/* The same for /sse and for /messages. */
struct ln_refusal ln_check_sse(const struct ln_http_head *head);
struct ln_refusal ln_check_messages(const struct ln_http_head *head);
/* MCP-Protocol-Version, when there is one ("Protocol Version Header"). */
struct ln_refusal ln_check_version(const struct ln_http_head *head);
/* Mcp-Method and Mcp-Name (2026-07-28), where they are sent, agree with the message. */
struct ln_refusal ln_check_routing(const struct ln_http_head *head, const struct ln_msg *msg);

#endif
