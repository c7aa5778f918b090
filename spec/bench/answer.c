/* The MCP server that the upstream is, without a transport: one message in, its answer out. It is
 * legacy only (server/discover is an unknown method) and gives ids back as they came. */
#include <string.h>

#include "bench.h"

static const char server[] =
    "{\"protocolVersion\":\"%.*s\",\"capabilities\":{\"tools\":{}},"
    "\"serverInfo\":{\"name\":\"bench-upstream\",\"version\":\"1.0.0\"}}";

/* echo is what the load calls; the others are there for rules to have something to do. */
static const char tools[] =
    "{\"tools\":["
    "{\"name\":\"echo\",\"description\":\"Says what it is told\",\"inputSchema\":{"
    "\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}},"
    "{\"name\":\"read\",\"description\":\"Reads a file\",\"inputSchema\":{"
    "\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}},"
    "{\"name\":\"list\",\"description\":\"Lists a folder\",\"inputSchema\":{"
    "\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}}}},"
    "{\"name\":\"erase\",\"description\":\"Erases a file\",\"inputSchema\":{"
    "\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]},"
    "\"annotations\":{\"destructiveHint\":true}}"
    "]}";

static void pad(struct bench_buf *out, size_t n) {
  bench_buf_reserve(out, n);
  memset(out->p + out->n, '.', n);
  out->n += n;
}

/* The result of tools/call, or false when it is not for echo. */
static bool call(struct bench_span params, size_t size, struct bench_buf *out) {
  struct bench_span name, arguments, text;
  if (!bench_json_member(params, "name", &name) || !bench_span_is(name, "\"echo\"") ||
      !bench_json_member(params, "arguments", &arguments) ||
      !bench_json_member(arguments, "text", &text) || text.n < 2 || *text.p != '"')
    return false;
  static const char before[] = "{\"content\":[{\"type\":\"text\",\"text\":\"";
  static const char after[] = "\"}]}";
  bench_buf_add(out, before, sizeof before - 1);
  bench_buf_add(out, text.p + 1, text.n - 2); /* a string's own bytes, escapes and all */
  if (text.n - 2 < size) pad(out, size - (text.n - 2));
  bench_buf_add(out, after, sizeof after - 1);
  return true;
}

static void begin(struct bench_buf *out, struct bench_span id, const char *kind) {
  static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
  bench_buf_add(out, head, sizeof head - 1);
  bench_buf_add(out, id.p, id.n);
  bench_buf_add(out, kind, strlen(kind));
}

static void refuse(struct bench_buf *out, struct bench_span id, int code, const char *why) {
  begin(out, id, ",\"error\":");
  bench_buf_addf(out, "{\"code\":%d,\"message\":\"%s\"}}", code, why);
}

enum bench_asked bench_answer(struct bench_span message, size_t size, struct bench_buf *out) {
  struct bench_span method, id, params = {"{}", 2}, version;
  bool has_id = bench_json_member(message, "id", &id);
  if (!bench_json_member(message, "method", &method))
    return has_id ? BENCH_ASKED_NOTHING : BENCH_ASKED_BAD;
  if (!has_id) return BENCH_ASKED_NOTHING;
  bench_json_member(message, "params", &params);

  size_t start = out->n;
  begin(out, id, ",\"result\":");
  if (bench_span_is(method, "\"tools/call\"")) {
    if (call(params, size, out)) {
      bench_buf_add(out, "}", 1);
      return BENCH_ASKED_OTHER;
    }
    out->n = start;
    refuse(out, id, -32602, "only echo can be called, with a text");
    return BENCH_ASKED_OTHER;
  }
  if (bench_span_is(method, "\"initialize\"")) {
    if (!bench_json_member(params, "protocolVersion", &version) || version.n < 2)
      version = (struct bench_span){"\"" BENCH_PROTOCOL "\"", sizeof BENCH_PROTOCOL + 1};
    bench_buf_addf(out, server, (int)version.n - 2, version.p + 1);
    bench_buf_add(out, "}", 1);
    return BENCH_ASKED_INITIALIZE;
  }
  if (bench_span_is(method, "\"tools/list\"")) {
    bench_buf_add(out, tools, sizeof tools - 1);
    bench_buf_add(out, "}", 1);
  } else if (bench_span_is(method, "\"ping\"")) {
    bench_buf_add(out, "{}}", 3);
  } else {
    out->n = start;
    refuse(out, id, -32601, "no such method");
  }
  return BENCH_ASKED_OTHER;
}
