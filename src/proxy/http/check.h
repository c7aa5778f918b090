/* What an HTTP request must be before its body counts for anything: heads in, verdicts out. No I/O,
 * and nothing of sessions. */
#ifndef LN_PROXY_HTTP_CHECK_H
#define LN_PROXY_HTTP_CHECK_H

#include "proxy/http/refusal.h"
#include "rpc/message.h"
#include "wire/http.h"
#include "wire/http_host.h"

/* By what hosts the server goes. */
struct ln_check_hosts {
  struct ln_http_hosts hosts; /* `listed` is whoever's who set it */
  char own_name[256];         /* the machine's */
  char last[64];              /* the host that was served last: most name it again */
  size_t last_n;
  char why[160]; /* of the last refusal */
};
/* loopback: the server listens on a loopback address. */
void ln_check_hosts_init(struct ln_check_hosts *c, bool loopback);
/* The hosts listed by the policy in force (NULL: none are), which live until the next call. */
void ln_check_hosts_list(struct ln_check_hosts *c, const char *const *listed);
/* Origin and Host (DNS rebinding): what browsers send from elsewhere is refused. Why is in words
 * that hold until the next call. */
struct ln_refusal ln_check_origin(struct ln_check_hosts *c, const struct ln_http_head *head);
/* Whether a POST would rather be answered by a stream than by plain JSON, going by Accept (its
 * first line). */
bool ln_check_prefers_stream(const struct ln_http_head *head);
/* Method and, for POST, Content-Type and Accept. */
struct ln_refusal ln_check_mcp(const struct ln_http_head *head);
/* The same for /sse and for /messages. */
struct ln_refusal ln_check_sse(const struct ln_http_head *head);
struct ln_refusal ln_check_messages(const struct ln_http_head *head);
/* MCP-Protocol-Version, when there is one. */
struct ln_refusal ln_check_version(const struct ln_http_head *head);
/* Mcp-Method and Mcp-Name, when there, say what the message says. */
struct ln_refusal ln_check_routing(const struct ln_http_head *head, const struct ln_msg *msg);

#endif
