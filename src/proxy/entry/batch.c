/* Batches; see batch.h. */
#include "proxy/entry/batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/entry/parse.h"
#include "proxy/route/from_client.h"

enum { MAX_BATCH = 100 };

struct batch {
  struct ln_sink sink;
  struct ln_sink *outer; /* counted */
  struct ln_buf array;   /* "[response,response"; errors and the last "]" fit in any case */
  size_t left;
};

static int batch_add(struct batch *b, const struct ln_iov *parts, size_t n) {
  size_t before = b->array.len;
  ln_buf_append_c(&b->array, before ? "," : "[");
  for (size_t i = 0; i < n; i++) ln_buf_append(&b->array, parts[i].p, parts[i].n);
  int rc = ln_buf_error(&b->array);
  if (rc) ln_buf_truncate(&b->array, before); /* the others go out all the same */
  return rc;
}

/* What must go out however long the others are. */
static int batch_add_always(struct batch *b, const struct ln_iov *parts, size_t n) {
  b->array.max++; /* the comma */
  for (size_t i = 0; i < n; i++) b->array.max += parts[i].n;
  return batch_add(b, parts, n);
}

/* In place of an answer: its request is answered all the same. */
static int batch_no_room(struct batch *b, struct ln_str id) {
  static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
  static const char tail[] =
      ",\"error\":{\"code\":-32603,\"message\":\"The answers to the batch are longer than twice "
      "max_message_bytes\"}}";
  const struct ln_iov parts[] = {
      {head, sizeof head - 1, NULL}, {id.p, id.n, NULL}, {tail, sizeof tail - 1, NULL}};
  return batch_add_always(b, parts, LN_COUNT(parts));
}

static int batch_end(struct batch *b) {
  if (--b->left) return LN_OK;
  b->array.max++;
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
  int rc = batch_add(b, out->parts, out->n);
  if (rc == LN_ELIMIT) rc = batch_no_room(b, ln_out_id(out));
  int end = batch_end(b);
  return rc ? rc : end;
}

static void batch_give_up(struct ln_sink *s) {
  int rc = batch_end(LN_CONTAINER(s, struct batch, sink));
  (void)rc; /* it fails only when the client's connection is closed */
}

static void batch_free(struct ln_sink *s) {
  struct batch *b = LN_CONTAINER(s, struct batch, sink);
  ln_sink_unref(b->outer);
  ln_buf_deinit(&b->array);
  free(b);
}

static const struct ln_sink_ops batch_ops = {batch_send, batch_give_up, batch_free};

static void batch_fault(struct batch *b, struct ln_msg_fault *f) {
  struct ln_bytes *text = ln_parse_fault(f);
  int rc = LN_OK;
  if (text) rc = batch_add_always(b, &(struct ln_iov){text->data, text->len, text}, 1);
  ln_bytes_unref(text);
  (void)rc; /* without memory the array is sent without it */
}

/* NULL, or why this array is no batch: it has no other array in it, and no initialize. */
static const char *batch_flaw(const struct ln_session *s, struct ln_str text) {
  if (!ln_str_is(s->peer.version, "2025-03-26"))
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

int ln_batch_take(struct ln_session *s, struct ln_bytes *bytes, struct ln_str text,
                  struct ln_sink *outer, struct ln_bytes *headers, size_t *requests,
                  struct ln_msg_fault *fault) {
  *fault = (struct ln_msg_fault){.code = -32700};
  *requests = 0;
  struct ln_msg_limits limits = ln_parse_limits(s->host);
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
  b->left = 1; /* until all requests have begun */
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
    ln_from_client(s, m, &b->sink, headers);
    ln_msg_unref(m);
  }
  int rc = LN_OK;
  if (*requests) rc = batch_end(b);
  ln_sink_unref(&b->sink);
  return rc == LN_EFULL ? LN_OK : rc;
}
