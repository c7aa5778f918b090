/* What an HTTP request must be before its body counts for anything. */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/front_http.h"

static const struct ln_gate pass = {0, 0, NULL, NULL};

void ln_gate_init(struct ln_front_http *f) {
  f->hosts.loopback = ln_http_server_on_loopback(f->server);
  if (gethostname(f->own_name, sizeof f->own_name - 1)) f->own_name[0] = 0;
  f->hosts.own = f->own_name;
}

/* Nearly every request names the host that the one before did. */
static bool serves(struct ln_front_http *f, struct ln_str host) {
  uint64_t now = f->host->reloads;
  struct ln_str last = {f->last_host, f->last_host_n};
  if (last.n && f->last_host_under == now && ln_str_eq(host, last)) return true;
  f->hosts.listed = f->host->settings.hosts;
  if (!ln_http_host_served(host, &f->hosts)) return false;
  if (host.n > sizeof f->last_host) return true;
  memcpy(f->last_host, host.p, host.n);
  f->last_host_n = host.n;
  f->last_host_under = now;
  return true;
}

static struct ln_gate gate_host(struct ln_front_http *f, struct ln_str host) {
  if (!host.p || serves(f, host)) return pass;
  snprintf(
      f->why, sizeof f->why,
      "Unknown Host, to be listed in lunette.configure { hosts = … } if it is this server's: %.*s",
      LN_STR_ARG(host));
  return (struct ln_gate){403, -32600, f->why, NULL};
}

static bool names_loopback(struct ln_str authority) {
  struct ln_http_host host;
  return ln_http_host_read(authority, &host) && ln_http_host_is_loopback(&host);
}

struct ln_gate ln_gate_origin(struct ln_front_http *f, const struct ln_http_head *head) {
  struct ln_gate gate = gate_host(f, head->authority);
  if (gate.status) return gate;
  unsigned count;
  struct ln_str origin = ln_http_header(head, "origin", &count);
  if (!count) return pass;
  struct ln_str host = origin;
  if (ln_str_starts(host, "http://"))
    host.p += 7, host.n -= 7;
  else if (ln_str_starts(host, "https://"))
    host.p += 8, host.n -= 8;
  else
    host.n = 0;
  bool same = head->authority.p && ln_str_ieq(host, head->authority);
  if (count == 1 && (names_loopback(host) || same)) return pass;
  return (struct ln_gate){403, -32600, "This Origin is not allowed", NULL};
}

/* Accept may be sent in several lines. */
static bool accepts(const struct ln_http_head *head, const char *type) {
  for (unsigned i = 0; i < head->n_headers; i++)
    if (ln_str_iis(head->headers[i].name, "accept") &&
        ln_http_accepts(head->headers[i].value, type))
      return true;
  return false;
}

bool ln_gate_wants_stream(const struct ln_http_head *head) {
  return ln_http_prefers(ln_http_header(head, "accept", NULL), "text/event-stream",
                         "application/json");
}

/* A body is JSON in UTF-8 as it stands, and says so once: what one reader takes for compressed or
 * for another charset and the next for plain text would be two messages. */
static struct ln_gate gate_body(const struct ln_http_head *head) {
  unsigned types, charsets, codings;
  struct ln_str type = ln_http_header(head, "content-type", &types);
  struct ln_str charset = ln_http_parameter(type, "charset", &charsets);
  struct ln_str coding = ln_http_header(head, "content-encoding", &codings);
  if (types > 1) return (struct ln_gate){415, -32600, "Content-Type is there twice", NULL};
  if (!ln_str_iis(ln_http_media_type(type), "application/json"))
    return (struct ln_gate){415, -32600, "Content-Type must be application/json", NULL};
  if (charsets > 1 || (charsets && !ln_str_iis(charset, "utf-8")))
    return (struct ln_gate){415, -32600, "The charset of JSON is utf-8", NULL};
  if (codings > 1 || (codings && !ln_str_iis(coding, "identity")))
    return (struct ln_gate){415, -32600, "Send the body without a Content-Encoding",
                            "Accept-Encoding: identity\r\n"};
  return pass;
}

struct ln_gate ln_gate_mcp(const struct ln_http_head *head) {
  if (ln_str_is(head->method, "GET")) {
    if (accepts(head, "text/event-stream")) return pass;
    return (struct ln_gate){406, -32600, "Accept must include text/event-stream", NULL};
  }
  if (ln_str_is(head->method, "DELETE")) return pass;
  if (!ln_str_is(head->method, "POST"))
    return (struct ln_gate){405, -32600, "Only POST, GET and DELETE",
                            "Allow: POST, GET, DELETE\r\n"};
  struct ln_gate body = gate_body(head);
  if (body.status) return body;
  if (!accepts(head, "application/json") || !accepts(head, "text/event-stream"))
    return (struct ln_gate){406, -32600,
                            "Accept must include application/json and text/event-stream", NULL};
  return pass;
}

/* EventSource sends the type; one who sends nothing will take it too. */
struct ln_gate ln_gate_sse(const struct ln_http_head *head) {
  unsigned count;
  if (!ln_str_is(head->method, "GET"))
    return (struct ln_gate){405, -32600, "Only GET", "Allow: GET\r\n"};
  ln_http_header(head, "accept", &count);
  if (!count || accepts(head, "text/event-stream")) return pass;
  return (struct ln_gate){406, -32600, "Accept must include text/event-stream", NULL};
}

struct ln_gate ln_gate_messages(const struct ln_http_head *head) {
  if (!ln_str_is(head->method, "POST"))
    return (struct ln_gate){405, -32600, "Only POST", "Allow: POST\r\n"};
  return gate_body(head);
}

struct ln_gate ln_gate_version(const struct ln_http_head *head) {
  unsigned count;
  struct ln_str version = ln_http_header(head, "mcp-protocol-version", &count);
  if (!count || (count == 1 && ln_version_known(version))) return pass;
  return (struct ln_gate){
      400, -32600,
      "Unsupported MCP-Protocol-Version; known: 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25",
      NULL};
}

/* "=?base64?…?=" undone into out; anything else as it is. */
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

struct ln_gate ln_gate_id(struct ln_session *s, const struct ln_msg *msg) {
  if (msg->kind == LN_MSG_REQUEST && ln_session_find(s, msg->id))
    return (struct ln_gate){400, -32600, "A request with this id is under way already", NULL};
  return (struct ln_gate){0};
}

struct ln_gate ln_gate_routing(const struct ln_http_head *head, const struct ln_msg *msg) {
  const struct ln_gate wrong = {400, -32600, "Mcp-Method or Mcp-Name says another than the body",
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
