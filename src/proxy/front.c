/* What all fronts share: limits, faults, batches, and the pages about the host's state. */
#include "proxy/front.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/router.h"
#include "proxy/upstream.h"

enum { MAX_BATCH = 100 };

struct ln_msg_limits ln_front_limits(const struct ln_host *h) {
  const struct ln_settings *s = &h->settings;
  return (struct ln_msg_limits){
      .json = {.max_bytes = s->max_message_bytes, .max_depth = s->max_depth, .max_members = 65536},
      .strict = true};
}

struct ln_bytes *ln_front_fault(struct ln_msg_fault *f) {
  struct ln_buf b;
  ln_buf_init(&b, 64 * 1024);
  int rc = ln_buf_append_c(&b, "{\"jsonrpc\":\"2.0\",");
  if (!rc && f->id_bytes && f->id_bytes->len < 1024)
    rc = ln_buf_printf(&b, "\"id\":%.*s,", (int)f->id_bytes->len, f->id_bytes->data);
  if (!rc)
    rc = ln_buf_printf(&b, "\"error\":{\"code\":%d,\"message\":", f->code ? f->code : -32603);
  if (!rc) rc = ln_json_quote(&b, ln_str_c(*f->text ? f->text : "Internal error"));
  if (!rc) rc = ln_buf_append_c(&b, "}}");
  ln_bytes_unref(f->id_bytes);
  f->id_bytes = NULL;
  struct ln_bytes *out = rc ? NULL : ln_buf_take(&b);
  ln_buf_deinit(&b);
  return out;
}

/* --- batches --- */

struct batch {
  struct ln_sink sink;
  struct ln_sink *outer; /* counted */
  struct ln_buf array;   /* "[response,response" */
  size_t left;
};

static int batch_add(struct batch *b, const struct ln_iov *parts, size_t n) {
  size_t before = b->array.len;
  ln_buf_append_c(&b->array, before ? "," : "[");
  for (size_t i = 0; i < n; i++) ln_buf_append(&b->array, parts[i].p, parts[i].n);
  int rc = ln_buf_error(&b->array);
  if (rc) ln_buf_truncate(&b->array, before); /* the others go out without it */
  return rc;
}

static int batch_end(struct batch *b) {
  if (--b->left) return LN_OK;
  if (!b->array.len || ln_buf_append_c(&b->array, "]")) {
    if (b->outer->ops->give_up) b->outer->ops->give_up(b->outer);
    return LN_OK;
  }
  struct ln_bytes *text = ln_buf_take(&b->array);
  if (!text) return LN_ENOMEM;
  struct ln_out out = {.parts = {{text->data, text->len, text}}, .n = 1, .msg = NULL};
  int rc = b->outer->ops->send(b->outer, &out, true);
  ln_bytes_unref(text);
  return rc;
}

static int batch_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  struct batch *b = LN_CONTAINER(s, struct batch, sink);
  if (!final) return b->outer->ops->send(b->outer, out, false);
  int rc = batch_add(b, out->parts, out->n), end = batch_end(b);
  return rc ? rc : end;
}

static void batch_give_up(struct ln_sink *s) {
  int rc = batch_end(LN_CONTAINER(s, struct batch, sink));
  (void)rc; /* the client has gone: nobody to tell */
}

static void batch_free(struct ln_sink *s) {
  struct batch *b = LN_CONTAINER(s, struct batch, sink);
  ln_sink_unref(b->outer);
  ln_buf_deinit(&b->array);
  free(b);
}

static const struct ln_sink_ops batch_ops = {batch_send, batch_give_up, batch_free};

static void batch_fault(struct batch *b, struct ln_msg_fault *f) {
  struct ln_bytes *text = ln_front_fault(f);
  int rc = LN_OK;
  if (text) rc = batch_add(b, &(struct ln_iov){text->data, text->len, text}, 1);
  ln_bytes_unref(text);
  (void)rc; /* over the limit the array goes out without it */
}

/* NULL, or why this array is no batch: messages only, no array inside, and no initialize, which
 * begins a session alone. */
static const char *batch_flaw(const struct ln_session *s, struct ln_str text) {
  if (!ln_str_is(s->version, "2025-03-26"))
    return "Batches are for protocol version 2025-03-26 only";
  size_t n = ln_json_count(text);
  struct ln_json_cur cur = ln_json_enter(text);
  struct ln_json_item it, method;
  bool whole = n > 0 && n <= MAX_BATCH;
  while (whole && ln_json_next(&cur, &it)) {
    whole = it.type != LN_JSON_ARRAY;
    if (ln_json_get(it.value, "method", &method) && ln_str_is(method.value, "\"initialize\""))
      return "initialize can't be part of a batch";
  }
  return whole ? NULL : "Not a batch of 1 to 100 messages";
}

int ln_front_batch(struct ln_session *s, struct ln_bytes *bytes, struct ln_str text,
                   struct ln_sink *outer, struct ln_bytes *headers, size_t *requests,
                   struct ln_msg_fault *fault) {
  *fault = (struct ln_msg_fault){.code = -32700};
  *requests = 0;
  struct ln_msg_limits limits = ln_front_limits(s->host);
  struct ln_json_info info;
  if (ln_json_scan(text, &limits.json, &info) || info.type != LN_JSON_ARRAY) {
    snprintf(fault->text, sizeof fault->text, "Parse error at byte %zu", info.error_at);
    return LN_EINVALID;
  }
  const char *flaw = batch_flaw(s, text);
  if (flaw) {
    fault->code = -32600;
    snprintf(fault->text, sizeof fault->text, "%s", flaw);
    return LN_EINVALID;
  }
  struct batch *b = calloc(1, sizeof *b);
  if (!b) {
    *fault = (struct ln_msg_fault){.code = -32603, .text = "Out of memory"};
    return LN_ENOMEM;
  }
  b->sink = (struct ln_sink){&batch_ops, 1, true};
  b->outer = ln_sink_ref(outer);
  ln_buf_init(&b->array, limits.json.max_bytes * 2);
  b->left = 1; /* ours, until all are on their way */
  struct ln_json_cur cur = ln_json_enter(text);
  struct ln_json_item it;
  while (ln_json_next(&cur, &it)) {
    struct ln_msg *m;
    struct ln_msg_fault f;
    if (ln_msg_parse(bytes, it.value, &limits, &m, &f)) {
      (*requests)++;
      batch_fault(b, &f);
      continue;
    }
    if (m->kind == LN_MSG_REQUEST) {
      (*requests)++;
      b->left++;
    }
    ln_router_from_client(s, m, &b->sink, headers);
    ln_msg_unref(m);
  }
  int rc = LN_OK;
  if (*requests) rc = batch_end(b);
  ln_sink_unref(&b->sink);
  return rc == LN_EFULL ? LN_OK : rc;
}

/* --- state --- */

bool ln_front_ready(const struct ln_host *h, struct ln_buf *out) {
  static const char *const words[] = {"unknown", "up", "down", "stopped"};
  bool ready = !h->closing;
  const char *comma = "";
  int rc = ln_buf_append_c(out, "{\"servers\":{");
  for (size_t i = 0; i < h->gen->n_upstreams && !rc; i++) {
    const struct ln_upstream *u = h->gen->upstreams[i];
    bool down = u->health == LN_UPSTREAM_DOWN, late = !down && ln_upstream_late(u);
    ready &= !(down || late) || u->conf->optional;
    rc = ln_buf_append_c(out, comma);
    if (!rc) rc = ln_json_quote(out, ln_str_c(u->conf->name));
    if (!rc) rc = ln_buf_printf(out, ":{\"state\":\"%s\"", late ? "starting" : words[u->health]);
    if (!rc && u->health >= LN_UPSTREAM_DOWN) {
      rc = ln_buf_append_c(out, ",\"error\":");
      if (!rc) rc = ln_json_quote(out, ln_str_c(u->last_error));
    }
    if (!rc) rc = ln_buf_append_c(out, "}");
    comma = ",";
  }
  if (!rc) rc = ln_buf_printf(out, "},\"ready\":%s}\n", ready ? "true" : "false");
  return ready && !rc;
}

/* A histogram in seconds. */
static int turns_text(const struct ln_turns *t, struct ln_buf *out) {
  static const char name[] = "lunette_loop_delay_seconds";
  uint64_t n = 0;
  int rc = ln_buf_printf(out,
                         "# HELP %s How long turns of the event loop took: what arrives meanwhile "
                         "waits so long.\n# TYPE %s histogram\n",
                         name, name);
  for (size_t i = 0; i < LN_TURN_BOUNDS && !rc; i++)
    rc = ln_buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                       ln_turn_bounds_ms[i] / 1000.0, n += t->within[i]);
  if (!rc)
    rc = ln_buf_printf(out,
                       "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.3f\n%s_count %" PRIu64 "\n",
                       name, t->count, name, (double)t->total_ms / 1000, name, t->count);
  return rc;
}

int ln_front_metrics(const struct ln_host *h, struct ln_buf *out) {
  /* A reload leaves one policy, and the old one only until its last call: what else grows leaks. */
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
      {"lunette_upstream_requests_total", "counter", h->count.upstream_requests},
      {"lunette_notifications_total", "counter", h->count.notifications},
      {"lunette_errors_total", "counter", h->count.errors},
      {"lunette_sessions_total", "counter", h->count.sessions},
      {"lunette_sessions", "gauge", h->n_sessions},
      {"lunette_requests_in_flight", "gauge", ln_host_in_flight(h)},
      {"lunette_policies", "gauge", policies},
      {"lunette_policy_references", "gauge", references},
      {"lunette_handles", "gauge", ln_loop_handles(h->loop)},
  };
  int rc = LN_OK;
  for (size_t i = 0; i < LN_COUNT(rows) && !rc; i++)
    rc = ln_buf_printf(out, "# TYPE %s %s\n%s %" PRIu64 "\n", rows[i].name, rows[i].type,
                       rows[i].name, rows[i].value);
  for (size_t i = 0; i < h->gen->n_upstreams && !rc; i++)
    rc = ln_buf_printf(out, "lunette_server_up{server=\"%s\"} %d\n",
                       h->gen->upstreams[i]->conf->name,
                       h->gen->upstreams[i]->health == LN_UPSTREAM_UP);
  return rc ? rc : turns_text(ln_loop_turns(h->loop), out);
}
