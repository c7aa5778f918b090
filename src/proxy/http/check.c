/* Checks of request heads; see check.h. */
#include "proxy/http/check.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "mcp/method.h"

static const struct ln_refusal pass = {0, 0, NULL, NULL};

void ln_check_hosts_init(struct ln_check_hosts *c, bool loopback) {
  c->hosts.loopback = loopback;
  if (gethostname(c->own_name, sizeof c->own_name - 1)) c->own_name[0] = 0;
  c->hosts.own = c->own_name;
}

void ln_check_hosts_list(struct ln_check_hosts *c, const char *const *listed,
                         const char *const *origins) {
  c->hosts.listed = listed;
  c->origins = origins;
  c->last_n = 0;
}

/* Compares with the last host first: nearly every request has the same. */
static bool serves(struct ln_check_hosts *c, struct ln_str host) {
  struct ln_str last = {c->last, c->last_n};
  if (last.n && ln_str_eq(host, last)) return true;
  if (!ln_http_host_served(host, &c->hosts)) return false;
  if (host.n > sizeof c->last) return true;
  memcpy(c->last, host.p, host.n);
  c->last_n = host.n;
  return true;
}

/* Whether a page of that origin may come in; served: the host that it asks, as Host has it. */
static bool lets_in(const struct ln_check_hosts *c, struct ln_str text, struct ln_str served) {
  struct ln_http_origin origin;
  if (c->origins && ln_http_origin_listed(text, c->origins)) return true;
  if (!ln_http_origin_read(text, &origin)) return false;
  if (!ln_str_iis(origin.scheme, "http") && !ln_str_iis(origin.scheme, "https")) return false;
  if (c->hosts.loopback && ln_http_host_is_loopback(&origin.host)) return true;
  return served.p && ln_str_ieq(origin.authority, served);
}

struct ln_refusal ln_check_origin(struct ln_check_hosts *c, const struct ln_http_head *head,
                                  struct ln_str *origin) {
  struct ln_str served = head->authority;
  *origin = LN_STR_NONE;
  if (served.p && !serves(c, served)) {
    snprintf(
        c->why, sizeof c->why,
        "Unknown Host, to be listed in lunette.configure { hosts = … } if it is this server's: "
        "%.*s",
        LN_STR_ARG(served));
    return (struct ln_refusal){403, -32600, c->why, NULL};
  }
  unsigned count;
  *origin = ln_http_header(head, "origin", &count);
  if (!count) return pass;
  if (count == 1 && lets_in(c, *origin, served)) return pass;
  struct ln_http_origin read;
  if (count > 1 || !ln_http_origin_read(*origin, &read))
    return (struct ln_refusal){403, -32600, "This Origin is not allowed", NULL};
  snprintf(c->why, sizeof c->why,
           "Unknown Origin, to be listed in lunette.configure { origins = … } if its pages may be "
           "clients: %.*s",
           LN_STR_ARG(*origin));
  return (struct ln_refusal){403, -32600, c->why, NULL};
}

/* Accept may be sent in several lines. */
static bool accepts(const struct ln_http_head *head, const char *type) {
  for (unsigned i = 0; i < head->n_headers; i++)
    if (ln_str_iis(head->headers[i].name, "accept") &&
        ln_http_accepts(head->headers[i].value, type))
      return true;
  return false;
}

bool ln_check_prefers_stream(const struct ln_http_head *head) {
  return ln_http_prefers(ln_http_header(head, "accept", NULL), "text/event-stream",
                         "application/json");
}

/* The body must be JSON in UTF-8, not compressed, and the headers must say so once: if they could
 * be read differently, the server could get another message than the rules were applied to. */
static struct ln_refusal check_body(const struct ln_http_head *head) {
  unsigned types, charsets, codings;
  struct ln_str type = ln_http_header(head, "content-type", &types);
  struct ln_str charset = ln_http_parameter(type, "charset", &charsets);
  struct ln_str coding = ln_http_header(head, "content-encoding", &codings);
  if (types > 1) return (struct ln_refusal){415, -32600, "Content-Type is there twice", NULL};
  if (!ln_str_iis(ln_http_media_type(type), "application/json"))
    return (struct ln_refusal){415, -32600, "Content-Type must be application/json", NULL};
  if (charsets > 1 || (charsets && !ln_str_iis(charset, "utf-8")))
    return (struct ln_refusal){415, -32600, "The charset of JSON is utf-8", NULL};
  if (codings > 1 || (codings && !ln_str_iis(coding, "identity")))
    return (struct ln_refusal){415, -32600, "Send the body without a Content-Encoding",
                               "Accept-Encoding: identity\r\n"};
  return pass;
}

struct ln_refusal ln_check_mcp(const struct ln_http_head *head) {
  if (ln_str_is(head->method, "GET")) {
    if (accepts(head, "text/event-stream")) return pass;
    return (struct ln_refusal){406, -32600, "Accept must include text/event-stream", NULL};
  }
  if (ln_str_is(head->method, "DELETE")) return pass;
  if (!ln_str_is(head->method, "POST"))
    return (struct ln_refusal){405, -32600, "Only POST, GET and DELETE",
                               "Allow: POST, GET, DELETE\r\n"};
  struct ln_refusal body = check_body(head);
  if (body.status) return body;
  if (!accepts(head, "application/json") || !accepts(head, "text/event-stream"))
    return (struct ln_refusal){406, -32600,
                               "Accept must include application/json and text/event-stream", NULL};
  return pass;
}

/* EventSource sends Accept; a request without it is accepted. */
struct ln_refusal ln_check_sse(const struct ln_http_head *head) {
  unsigned count;
  if (!ln_str_is(head->method, "GET"))
    return (struct ln_refusal){405, -32600, "Only GET", "Allow: GET\r\n"};
  ln_http_header(head, "accept", &count);
  if (!count || accepts(head, "text/event-stream")) return pass;
  return (struct ln_refusal){406, -32600, "Accept must include text/event-stream", NULL};
}

struct ln_refusal ln_check_messages(const struct ln_http_head *head) {
  if (!ln_str_is(head->method, "POST"))
    return (struct ln_refusal){405, -32600, "Only POST", "Allow: POST\r\n"};
  return check_body(head);
}

struct ln_refusal ln_check_version(const struct ln_http_head *head) {
  unsigned count;
  struct ln_str version = ln_http_header(head, "mcp-protocol-version", &count);
  if (!count || (count == 1 && ln_version_known(version))) return pass;
  return (struct ln_refusal){
      400, -32600,
      "Unsupported MCP-Protocol-Version; known: 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25",
      NULL};
}

/* "=?base64?…?=" is decoded into out; any other value is returned unchanged. */
static struct ln_str header_text(struct ln_str v, struct ln_buf *out) {
  if (!ln_str_starts(v, "=?base64?") || v.n < 11 || memcmp(v.p + v.n - 2, "?=", 2) != 0) return v;
  struct ln_str b64 = {v.p + 9, v.n - 11};
  if (!b64.n || b64.n % 4 || ln_buf_reserve(out, b64.n)) return v;
  int n = EVP_DecodeBlock((unsigned char *)out->data, (const unsigned char *)b64.p, (int)b64.n);
  if (n < 0) return v;
  for (size_t i = b64.n; i > 0 && b64.p[i - 1] == '='; i--) n--;
  out->len = (size_t)LN_MAX(n, 0);
  return ln_buf_str(out);
}

struct ln_refusal ln_check_routing(const struct ln_http_head *head, const struct ln_msg *msg) {
  const struct ln_refusal wrong = {400, -32600, "Mcp-Method or Mcp-Name says another than the body",
                                   NULL};
  unsigned methods, names;
  struct ln_str method = ln_http_header(head, "mcp-method", &methods);
  struct ln_str name = ln_http_header(head, "mcp-name", &names);
  if (!methods && !names) return pass;
  if (methods > 1 || names > 1) return wrong;
  if (methods && !(msg->method.p && ln_str_eq(method, msg->method))) return wrong;
  if (!names) return pass;
  struct ln_str raw = ln_json_inside(msg->name.p ? msg->name : msg->uri);
  if (!raw.p) return wrong;
  struct ln_buf plain, text;
  ln_buf_init(&plain, raw.n * 3 + 16);
  ln_buf_init(&text, name.n + 16);
  bool same = ln_json_unescape(raw, false, &plain) == LN_OK &&
              ln_str_eq(ln_buf_str(&plain), header_text(name, &text));
  ln_buf_deinit(&plain);
  ln_buf_deinit(&text);
  return same ? pass : wrong;
}
