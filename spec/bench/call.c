/* The messages that the load sends, the check of what comes back, and the phases of a run. */
#include <string.h>

#include "bench.h"

const char bench_initialize[] =
    "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
    "\"protocolVersion\":\"" BENCH_PROTOCOL
    "\",\"capabilities\":{},"
    "\"clientInfo\":{\"name\":\"bench-load\",\"version\":\"1.0.0\"}}}";
const char bench_initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";

void bench_call_template(const char *text, struct bench_buf *out, size_t *id_at) {
  static const char before[] = "{\"jsonrpc\":\"2.0\",\"id\":";
  *id_at = out->n + sizeof before - 1;
  bench_buf_addf(out,
                 "%s%u,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{"
                 "\"text\":\"%s\"}}}",
                 before, BENCH_ID_FIRST, text);
}

void bench_call_id(char *digits, uint32_t id) {
  for (int i = BENCH_ID_DIGITS; i-- > 0; id /= 10) digits[i] = (char)('0' + id % 10);
}

static uint32_t id_of(struct bench_span raw) {
  uint64_t id = 0;
  if (raw.n != BENCH_ID_DIGITS) return 0;
  for (size_t i = 0; i < raw.n; i++) {
    if (raw.p[i] < '0' || raw.p[i] > '9') return 0;
    id = id * 10 + (uint64_t)(raw.p[i] - '0');
  }
  return id >= BENCH_ID_FIRST && id <= UINT32_MAX ? (uint32_t)id : 0;
}

const char *bench_call_check(struct bench_span message, uint32_t id, const char *expect,
                             uint32_t *id_found) {
  struct bench_span raw, value, result;
  *id_found = 0;
  if (!bench_json_member(message, "id", &raw)) return "a message without an id";
  *id_found = id_of(raw);
  if (*id_found == 0 || (id != 0 && *id_found != id)) return "an answer with an id of no call";
  if (bench_json_member(message, "error", &value)) return "an error";
  if (!bench_json_member(message, "result", &result)) return "neither result nor error";
  if (bench_json_member(result, "isError", &value) && bench_span_is(value, "true"))
    return "a result that is an error";
  static const char before[] = "\"text\":\"";
  const char *text = memmem(result.p, result.n, before, sizeof before - 1);
  if (text == NULL) return "a result without text";
  text += sizeof before - 1;
  size_t length = strlen(expect);
  if ((size_t)(result.p + result.n - text) < length || memcmp(text, expect, length) != 0)
    return "a result with another text";
  return NULL;
}

static bool is_over(const struct bench_load *load, const struct bench_stats *stats, uint64_t now,
                    uint32_t asked) {
  if (load->calls > 0) return asked >= load->calls;
  return now > stats->begun && (double)(now - stats->begun) >= load->seconds * 1e9;
}

void bench_clock_begin(struct bench_clock *c, const struct bench_load *load,
                       struct bench_stats *stats) {
  c->begun = bench_now();
  bench_clock_tick(c, load, stats, c->begun, 0); /* without a warm-up the first call counts too */
}

enum bench_phase bench_clock_tick(struct bench_clock *c, const struct bench_load *load,
                                  struct bench_stats *stats, uint64_t now, uint32_t asked) {
  if (c->phase == BENCH_WARMUP && (double)(now - c->begun) >= load->warmup * 1e9) {
    c->phase = BENCH_MEASURE;
    bench_stats_begin(stats, load->pids, load->n_pids);
  } else if (c->phase == BENCH_MEASURE && is_over(load, stats, now, asked)) {
    c->phase = BENCH_DRAIN;
    bench_stats_end(stats, load->pids, load->n_pids);
  }
  return c->phase;
}

void bench_clock_end(struct bench_clock *c, const struct bench_load *load,
                     struct bench_stats *stats) {
  if (c->phase == BENCH_MEASURE) bench_stats_end(stats, load->pids, load->n_pids);
  c->phase = BENCH_DRAIN;
}
