/* One client over two pipes, a message a line; see stdio.h. */
#include "proxy/entry/stdio.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/stream.h"
#include "proxy/client/session.h"
#include "proxy/entry/batch.h"
#include "proxy/entry/parse.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"
#include "wire/line.h"

/* Whether more is read from the client. */
enum input { INPUT_OPEN, INPUT_STOPPED /* by drain */, INPUT_ENDED /* by the client */ };

struct ln_stdio_front {
  struct ln_sink sink; /* one reference is the front's own */
  struct ln_host *host;
  struct ln_session *session; /* counted */
  struct ln_stream *in, *out; /* NULL once closed */
  struct ln_line line;
  enum input input;
  bool full; /* the client doesn't keep up: the outbox was told by LN_EFULL */
  bool told_ended;
  struct ln_timer poll; /* while waiting for the last answers */
  uint64_t give_up_at;
  void (*ended)(void *arg);
  void *ended_arg;
  void (*closed)(void *arg);
  void *closed_arg;
};

static void tell_ended(struct ln_stdio_front *f) {
  if (f->told_ended) return;
  f->told_ended = true;
  f->ended(f->ended_arg);
}

static void tell_closed(struct ln_stdio_front *f) {
  if (f->in || f->out || !f->closed) return;
  void (*closed)(void *) = f->closed;
  void *arg = f->closed_arg;
  f->closed = NULL;
  ln_sink_unref(&f->sink);
  closed(arg);
}

static void poll_idle(struct ln_timer *t);

/* A message from or to the client is lost: ends the session. From the loop, as the caller may be
 * walking through the sessions. */
static void break_off(struct ln_stdio_front *f, const char *what, int rc) {
  LN_LOG(f->host->log, WARN, "stdio", "the client can't be %s: %s", what, ln_err_text(rc));
  f->give_up_at = 0;
  if (f->session) ln_timer_start(f->host->loop, &f->poll, 1, poll_idle);
}

/* --- to the client --- */

static int write_line(struct ln_stdio_front *f, const struct ln_iov *parts, size_t n) {
  if (!f->out) return LN_ECLOSED;
  struct ln_iov all[LN_OUT_PARTS + 1];
  LN_ASSERT(n <= LN_OUT_PARTS);
  memcpy(all, parts, n * sizeof *parts);
  all[n] = (struct ln_iov){"\n", 1, NULL};
  int rc = ln_stream_write(f->out, all, n + 1);
  if (rc == LN_EFULL) {
    if (f->full) return LN_OK;
    f->full = true; /* while it doesn't read, it is not read from */
    if (f->in) ln_stream_read_stop(f->in);
  } else if (rc) {
    break_off(f, "written to", rc);
  }
  return rc;
}

static int sink_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  (void) final; /* one pipe for everything */
  return write_line(LN_CONTAINER(s, struct ln_stdio_front, sink), out->parts, out->n);
}

static void sink_free(struct ln_sink *s) {
  struct ln_stdio_front *f = LN_CONTAINER(s, struct ln_stdio_front, sink);
  ln_line_deinit(&f->line);
  free(f);
}

static const struct ln_sink_ops sink_ops = {sink_send, NULL, sink_free};

static void on_drain(void *arg) {
  struct ln_stdio_front *f = arg;
  if (!f->full) return;
  f->full = false;
  if (!f->session) return;
  if (f->in && f->input == INPUT_OPEN && !f->session->stalled) ln_stream_read_start(f->in);
  ln_outbox_drained(&f->session->outbox);
}

/* --- from the client --- */

static void answer_fault(struct ln_stdio_front *f, struct ln_msg_fault *fault) {
  LN_LOG(f->host->log, WARN, "stdio", "refused a message: %s", fault->text);
  struct ln_bytes *text = ln_parse_fault(fault);
  int rc = text ? write_line(f, &(struct ln_iov){text->data, text->len, text}, 1) : LN_ENOMEM;
  if (rc == LN_EFULL)
    ln_outbox_drained(&f->session->outbox); /* not sent by the outbox, so that needn't wait */
  ln_bytes_unref(text);
}

static void message_in(struct ln_stdio_front *f, struct ln_bytes *bytes) {
  struct ln_session *s = f->session;
  struct ln_str text = ln_json_trim((struct ln_str){bytes->data, bytes->len});
  if (!text.n) return;
  struct ln_msg_fault fault;
  if (text.p[0] == '[') {
    size_t requests;
    if (ln_batch_take(s, bytes, text, &f->sink, NULL, &requests, &fault)) answer_fault(f, &fault);
    return;
  }
  struct ln_msg_limits limits = ln_parse_limits(f->host);
  struct ln_msg *m;
  int rc = ln_msg_parse(bytes, text, &limits, &m, &fault);
  if (rc) {
    answer_fault(f, &fault);
    if (rc == LN_ENOMEM) break_off(f, "understood", rc);
    return;
  }
  ln_from_client(s, m, &f->sink, NULL);
  ln_msg_unref(m);
}

static void on_read(void *arg, const char *p, size_t n) {
  struct ln_stdio_front *f = arg;
  struct ln_str data = {p, n};
  struct ln_bytes *frame;
  int rc;
  while (f->session && f->session->state != LN_SESSION_GONE &&
         (rc = ln_line_next(&f->line, &data, &frame)) != LN_EAGAIN) {
    if (rc == LN_OK) {
      message_in(f, frame);
      ln_bytes_unref(frame);
    } else if (rc == LN_ELIMIT) {
      struct ln_msg_fault fault = {.code = -32600};
      snprintf(fault.text, sizeof fault.text,
               "The message has more than %zu bytes (max_message_bytes)",
               f->host->settings.max_message_bytes);
      answer_fault(f, &fault);
    } else {
      break_off(f, "read", rc);
    }
  }
}

/* The client has closed its side: waits until its requests are answered. */
static void poll_idle(struct ln_timer *t) {
  struct ln_stdio_front *f = LN_CONTAINER(t, struct ln_stdio_front, poll);
  bool idle = f->session->in_flight == 0 && (!f->out || ln_stream_queued(f->out) == 0);
  if (idle || ln_loop_now(f->host->loop) >= f->give_up_at)
    tell_ended(f);
  else
    ln_timer_start(f->host->loop, &f->poll, 10, poll_idle);
}

static void on_end(void *arg, int err) {
  struct ln_stdio_front *f = arg;
  if (f->input == INPUT_ENDED) return;
  f->input = INPUT_ENDED;
  if (!err && f->line.held.len) on_read(f, "\n", 1); /* the last line may have no line end */
  f->give_up_at = ln_loop_now(f->host->loop) + f->host->settings.drain_timeout_ms;
  ln_timer_start(f->host->loop, &f->poll, 1, poll_idle);
}

static void on_out_end(void *arg, int err) {
  (void)err;
  tell_ended(arg);
}

static void on_in_closed(void *arg) {
  struct ln_stdio_front *f = arg;
  f->in = NULL;
  tell_closed(f);
}

static void on_out_closed(void *arg) {
  struct ln_stdio_front *f = arg;
  f->out = NULL;
  tell_closed(f);
}

/* A server doesn't keep up: the client waits too. */
static void on_stall(struct ln_session *s, bool stalled) {
  struct ln_stdio_front *f = s->front;
  if (!f->in || f->input != INPUT_OPEN) return;
  if (stalled)
    ln_stream_read_stop(f->in);
  else if (!f->full)
    ln_stream_read_start(f->in);
}

static const struct ln_stream_ops in_ops = {
    .on_read = on_read, .on_end = on_end, .on_closed = on_in_closed};
static const struct ln_stream_ops out_ops = {
    .on_end = on_out_end, .on_drain = on_drain, .on_closed = on_out_closed};

/* --- life --- */

struct ln_stdio_front *ln_stdio_front_start(struct ln_host *h, int in, int out,
                                            void (*ended)(void *arg), void *arg) {
  struct ln_stdio_front *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->sink = (struct ln_sink){&sink_ops, 1, true};
  f->host = h;
  f->ended = ended;
  f->ended_arg = arg;
  ln_timer_init(&f->poll);
  ln_line_init(&f->line, h->settings.max_message_bytes);
  f->session = ln_session_new(h, "stdio", "stdio", NULL);
  f->in = f->session ? ln_stream_open(h->loop, in, &in_ops, f) : NULL;
  f->out = f->in ? ln_stream_open(h->loop, out, &out_ops, f) : NULL;
  if (!f->out) {
    /* At start-up, and out of memory: the program is about to say so and end. */
    return NULL;
  }
  ln_stream_shield_stdio(f->in);
  ln_stream_shield_stdio(f->out);
  f->session->front = f;
  f->session->on_stall = on_stall;
  ln_outbox_set_general(&f->session->outbox, &f->sink);
  ln_stream_read_start(f->in);
  return f;
}

void ln_stdio_front_drain(struct ln_stdio_front *f) {
  if (f->input == INPUT_OPEN) f->input = INPUT_STOPPED;
  if (f->in) ln_stream_read_stop(f->in);
}

void ln_stdio_front_close(struct ln_stdio_front *f, void (*closed)(void *arg), void *arg) {
  f->closed = closed;
  f->closed_arg = arg;
  f->told_ended = true;
  ln_timer_stop(&f->poll);
  ln_session_end(f->session);
  ln_session_unref(f->session);
  f->session = NULL;
  if (f->in) ln_stream_close(f->in);
  if (f->out) ln_stream_close_flushed(f->out, 1000);
}
