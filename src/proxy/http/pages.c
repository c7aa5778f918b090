/* The pages about the host's state; see pages.h. */
#include "proxy/http/pages.h"

#include <inttypes.h>

#include "proxy/http/respond.h"
#include "proxy/server/generation.h"
#include "proxy/server/link.h"

void ln_pages_health(struct ln_http_request *r) {
  ln_respond(r, 200, "text/plain", NULL, LN_STR_LIT("ok\n"));
}

/* Appends the body of /readyz; true when no server is down but optional ones. */
static bool put_ready(const struct ln_host *h, struct ln_buf *out) {
  static const char *const words[] = {"unknown", "up", "down", "stopped"};
  bool ready = !h->closing;
  const char *comma = "";
  ln_buf_append_c(out, "{\"servers\":{");
  for (size_t i = 0; i < h->gen->n_servers; i++) {
    const struct ln_server *server = h->gen->servers[i];
    bool down = server->health == LN_SERVER_DOWN, late = !down && ln_link_late(server);
    ready &= !(down || late) || server->conf->optional;
    ln_buf_append_c(out, comma);
    ln_json_quote(out, ln_str_c(server->conf->name));
    ln_buf_printf(out, ":{\"state\":\"%s\"", late ? "starting" : words[server->health]);
    if (server->health >= LN_SERVER_DOWN) {
      ln_buf_append_c(out, ",\"error\":");
      ln_json_quote(out, ln_str_c(server->last_error));
    }
    ln_buf_append_c(out, "}");
    comma = ",";
  }
  ln_buf_printf(out, "},\"ready\":%s}\n", ready ? "true" : "false");
  return ready && !ln_buf_error(out);
}

void ln_pages_ready(const struct ln_host *h, bool draining, struct ln_http_request *r) {
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  /* A server that is down gets no requests, so that only this finds out whether it works again. */
  for (size_t i = 0; i < h->gen->n_servers; i++) ln_link_probe(h->gen->servers[i]);
  bool ready = put_ready(h, &b) && !draining;
  ln_respond(r, ready ? 200 : 503, "application/json", NULL, ln_buf_str(&b));
  ln_buf_deinit(&b);
}

/* A histogram in seconds. */
static void put_turns(const struct ln_turns *t, struct ln_buf *out) {
  static const char name[] = "lunette_loop_delay_seconds";
  uint64_t n = 0;
  ln_buf_printf(out,
                "# HELP %s How long turns of the event loop took: what arrives meanwhile "
                "waits so long.\n# TYPE %s histogram\n",
                name, name);
  for (size_t i = 0; i < LN_TURN_BOUNDS; i++)
    ln_buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, ln_turn_bounds_ms[i] / 1000.0,
                  n += t->within[i]);
  ln_buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.3f\n%s_count %" PRIu64 "\n",
                name, t->count, name, (double)t->total_ms / 1000, name, t->count);
}

/* Appends /metrics in Prometheus' text format. */
static void put_metrics(const struct ln_host *h, struct ln_buf *out) {
  /* After a reload the old policy stays until its last call ends: more than that is a leak. */
  size_t policies = 0, references = 0;
  LN_LIST_EACH(l, &h->policies) {
    policies++;
    references += ln_policy_references(ln_policy_of_link(l));
  }
  const struct {
    const char *name, *type;
    uint64_t value;
  } rows[] = {
      {"lunette_requests_total", "counter", h->count.requests},
      {"lunette_upstream_requests_total", "counter", h->count.server_requests},
      {"lunette_notifications_total", "counter", h->count.notifications},
      {"lunette_errors_total", "counter", h->count.errors},
      {"lunette_sessions_total", "counter", h->count.sessions},
      {"lunette_sessions", "gauge", h->n_sessions},
      {"lunette_children", "gauge", h->ledger.held[LN_SHORT_CHILDREN]},
      {"lunette_peers", "gauge", ln_ledger_accounts(&h->ledger)},
      {"lunette_buffered_bytes", "gauge", h->ledger.held[LN_SHORT_BYTES]},
      {"lunette_given_way_total", "counter", h->ledger.given_way},
      {"lunette_requests_in_flight", "gauge", h->in_flight},
      {"lunette_policies", "gauge", policies},
      {"lunette_policy_references", "gauge", references},
      {"lunette_handles", "gauge", ln_loop_handles(h->loop)},
  };
  for (size_t i = 0; i < LN_COUNT(rows); i++)
    ln_buf_printf(out, "# TYPE %s %s\n%s %" PRIu64 "\n", rows[i].name, rows[i].type, rows[i].name,
                  rows[i].value);
  for (size_t i = 0; i < h->gen->n_servers; i++)
    ln_buf_printf(out, "lunette_server_up{server=\"%s\"} %d\n", h->gen->servers[i]->conf->name,
                  h->gen->servers[i]->health == LN_SERVER_UP);
  put_turns(ln_loop_turns(h->loop), out);
}

void ln_pages_metrics(const struct ln_host *h, struct ln_http_request *r) {
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  put_metrics(h, &b);
  if (ln_buf_error(&b))
    ln_http_request_abort(r);
  else
    ln_respond(r, 200, "text/plain; version=0.0.4", NULL, ln_buf_str(&b));
  ln_buf_deinit(&b);
}
