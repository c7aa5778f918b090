/* HTTP+SSE, the transport of 2024-11-05, as a client: one GET stream, whose first event
 * (`endpoint`) says where to POST, brings every message; POSTs are only acknowledged. When the
 * stream is lost the session is. See http_channel.h.
 *
 * A server that refuses the initialize of Streamable HTTP may be one of these: then the GET is
 * tried once, and the refused request waits to be sent again or, when the GET comes to nothing, to
 * be told as it came. */
#include <stdio.h>
#include <stdlib.h>

#include "transport/http_channel.h"

enum { ENDPOINT_MS = 30000 };

static void on_late(struct ln_timer *t) {
  struct ln_http_channel *c = LN_CONTAINER(t, struct ln_http_channel, timer);
  ln_sse_lost(c->stream, LN_ETIMEOUT, "the server's event stream didn't say in time where to POST");
}

void ln_sse_open(struct ln_http_channel *c) {
  c->stream = ln_http_post_new(c, LN_POST_STREAM, 2, 0);
  if (!c->stream) {
    ln_http_channel_fail(c, LN_ENOMEM, ln_err_text(LN_ENOMEM), 0);
    return;
  }
  ln_timer_start(c->pool->loop, &c->timer, ENDPOINT_MS, on_late);
  ln_http_stream_get(c->stream);
}

/* --- finding out --- */

bool ln_sse_hint(const struct ln_http_post *p) {
  const struct ln_http_channel *c = p->c;
  bool refused = p->status == 400 || p->status == 404 || p->status == 405;
  return p->initialize && refused && !c->sse && !c->detected && !c->closing;
}

bool ln_sse_detect(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  if (!ln_sse_hint(p)) return false;
  c->stream = ln_http_post_new(c, LN_POST_STREAM, 2, 0);
  if (!c->stream) return false;
  c->detected = true;
  c->undecided = p;
  ln_timer_start(c->pool->loop, &c->timer, ENDPOINT_MS, on_late);
  ln_http_stream_get(c->stream);
  return true;
}

void ln_sse_lost(struct ln_http_post *p, int err, const char *why) {
  struct ln_http_channel *c = p->c;
  struct ln_http_post *undecided = c->undecided;
  char words[LN_HTTP_WHY];
  size_t own = ln_http_post_quote(p, why, words);
  if (!c->closing) ln_timer_stop(&c->timer);
  bool was_there = c->sse;
  c->undecided = NULL;
  ln_http_post_done(p, false);
  if (c->closing) return;
  if (undecided)
    ln_http_post_conclude(undecided);
  else if (was_there)
    ln_http_channel_fail(c, err, words, own);
}

/* --- the stream --- */

/* NULL, or what is wrong with it. */
static const char *take_endpoint(struct ln_http_post *p, const struct ln_bytes *data) {
  struct ln_http_channel *c = p->c;
  const struct ln_url *base = p->url ? p->url : &c->pool->route.url;
  struct ln_url *url = malloc(sizeof *url);
  const char *bad;
  if (!url) return ln_err_text(LN_ENOMEM);
  if (!data->len || ln_url_resolve(url, base, ln_bytes_str(data), &bad)) {
    free(url);
    return "the server's endpoint event holds no URL";
  }
  if (!ln_url_same_origin(url, base)) {
    ln_url_deinit(url);
    free(url);
    return "the server's endpoint is on another origin, which is not followed";
  }
  c->endpoint = url;
  return NULL;
}

/* Where to POST is known: what waited for that goes on. */
static void begin(struct ln_http_channel *c) {
  struct ln_http_post *undecided = c->undecided;
  ln_timer_stop(&c->timer);
  c->undecided = NULL;
  c->sse = true;
  c->base.streams = false;
  ln_http_channel_stale(c);
  if (undecided) {
    ln_http_channel_resend(undecided);
  } else if (!c->readied) {
    c->readied = true;
    c->base.events->ready(c->base.arg);
  }
}

/* What the refused initialize was refused for is no news then. */
static void bad_endpoint(struct ln_http_post *p, const char *why) {
  struct ln_http_post *undecided = p->c->undecided;
  p->c->undecided = NULL;
  ln_sse_lost(p, LN_EPROTOCOL, why);
  if (undecided) {
    ln_buf_clear(&undecided->text);
    ln_http_post_fail(undecided, LN_EPROTOCOL, 0, why);
  }
}

/* Nothing but the endpoint counts until that is there, and it is there once. */
static void take(struct ln_http_post *p, const struct ln_sse_event *event) {
  struct ln_http_channel *c = p->c;
  if (c->endpoint && event->data->len && ln_str_is(event->type, "message")) {
    c->base.events->message(c->base.arg, event->data, 0);
    return;
  }
  bool endpoint = !c->endpoint && ln_str_is(event->type, "endpoint");
  const char *bad = endpoint ? take_endpoint(p, event->data) : NULL;
  ln_bytes_unref(event->data);
  if (bad)
    bad_endpoint(p, bad);
  else if (endpoint)
    begin(c);
}

void ln_sse_data(struct ln_http_post *p, struct ln_str data) {
  struct ln_http_channel *c = p->c;
  struct ln_sse_event event;
  int rc = LN_OK;
  p->busy = true;
  while (!p->dead && !c->closing && (rc = ln_sse_next(&p->sse, &data, &event)) == LN_OK)
    take(p, &event);
  p->busy = false;
  if (p->dead) {
    ln_http_post_done(p, false);
  } else if (rc != LN_OK && rc != LN_EAGAIN) {
    char why[96];
    snprintf(why, sizeof why,
             "an event of the server's is larger than %zu bytes (max_message_bytes)",
             c->pool->max_message);
    ln_sse_lost(p, rc, rc == LN_ELIMIT ? why : ln_err_text(rc));
  }
}
