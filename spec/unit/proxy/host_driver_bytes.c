/* The played host: bytes from clients, as a way in takes them, and its end as far as that is seen.
 */
#include "host_driver.h"
#include "proxy/entry/batch.h"
#include "proxy/entry/parse.h"
#include "proxy/route/from_client.h"
#include "proxy/serve/host_life.h"

static void refuse(struct ln_session *s, struct ln_msg_fault *fault) {
  struct ln_bytes *text = ln_parse_fault(fault);
  struct ln_out out = {.parts = {{text->data, text->len, text}}, .n = 1};
  struct ln_sink *sink = s->outbox.general;
  LN_ASSERT(sink->ops->send(sink, &out, true) == LN_OK);
  ln_bytes_unref(text);
}

/* The client says this, a message or an array of them; answers go where stdio's do. The number of
 * responses to an array. */
size_t pl_hear(struct ln_session *s, const char *text, size_t n) {
  struct ln_bytes *bytes = ln_bytes_copy(text, n);
  struct ln_str all = {bytes->data, n};
  struct ln_msg_fault fault;
  size_t requests = 0;
  struct ln_msg_limits limits = ln_parse_limits(s->host);
  struct ln_msg *m;
  if (n && text[0] == '[') {
    if (ln_batch_take(s, bytes, all, s->outbox.general, NULL, &requests, &fault)) refuse(s, &fault);
  } else if (ln_msg_parse(bytes, all, &limits, &m, &fault)) {
    refuse(s, &fault);
  } else {
    ln_from_client(s, m, s->outbox.general, NULL);
    ln_msg_unref(m);
  }
  ln_bytes_unref(bytes);
  return requests;
}

/* For callbacks that are only counted: *n is one more. */
void pl_count_up(void *n) {
  ++*(int *)n;
}

/* The host closes; closed counts how often it says that it has. */
void pl_close(struct pl *r, int *closed) {
  r->closing = true;
  ln_host_life_close(&r->host, pl_count_up, closed);
}
