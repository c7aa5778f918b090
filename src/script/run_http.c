/* See run_http.h. Events of the fetch only store data and post a task: the coroutine is resumed
 * once for all data of one read, and never from inside the stream's callbacks. */
#include "script/run_http.h"

#include <stdio.h>
#include <stdlib.h>

enum { MARK = 64 * 1024, STREAM_MAX = 1 << 20, HEADERS_MAX = 128 * 1024 };

bool ln_run_http_ready(const struct ln_run_http *h) {
  if (!h->fetch) return true;
  return h->stream && ((h->status && !h->head_seen) || h->body.len > 0);
}

static void on_wake(struct ln_task *t) {
  struct ln_run_http *h = LN_CONTAINER(t, struct ln_run_http, wake);
  uint64_t token = h->token;
  h->token = 0;
  h->ready(h->run, token);
}

static void changed(struct ln_run_http *h) {
  if (h->token && ln_run_http_ready(h)) ln_task_post(h->loop, &h->wake, on_wake);
}

static void over(struct ln_run_http *h, const char *why) {
  h->failed = why ? strdup(why) : NULL; /* it may be the fetch's */
  h->broken = why != NULL;
  ln_fetch_free(h->fetch);
  h->fetch = NULL;
  changed(h);
}

static void too_long(struct ln_run_http *h) {
  char why[160];
  snprintf(why, sizeof why,
           "the body is longer than %zu bytes; stream = true takes it in pieces, and "
           "lunette.configure { max_http_bytes = … } raises the limit",
           h->max);
  over(h, why);
}

static void keep_header(struct ln_run_http *h, const struct ln_http_header *header) {
  size_t at = h->headers.len;
  ln_buf_append_str(&h->headers, header->name);
  for (size_t i = at; i < h->headers.len; i++) {
    char c = h->headers.data[i];
    if (c >= 'A' && c <= 'Z') h->headers.data[i] = (char)(c | 32);
  }
  ln_buf_append(&h->headers, "", 1);
  ln_buf_append_str(&h->headers, header->value);
  ln_buf_append(&h->headers, "", 1);
}

static void on_head(void *arg, const struct ln_http_head *head, const struct ln_url *url) {
  struct ln_run_http *h = arg;
  ln_url_origin(url, &h->url);
  ln_buf_append_str(&h->url, url->target);
  for (unsigned i = 0; i < head->n_headers; i++) keep_header(h, &head->headers[i]);
  int rc = ln_buf_error(&h->url) ? ln_buf_error(&h->url) : ln_buf_error(&h->headers);
  if (rc) {
    over(h, ln_err_text(rc));
    return;
  }
  h->status = head->status;
  changed(h);
}

static void on_body(void *arg, struct ln_str piece) {
  struct ln_run_http *h = arg;
  int rc = ln_buf_append_str(&h->body, piece);
  if (rc == LN_ELIMIT && !h->stream) {
    too_long(h);
  } else if (rc) {
    over(h, ln_err_text(rc));
  } else if (h->stream) {
    if (h->body.len >= MARK) ln_fetch_pause(h->fetch, true);
    changed(h);
  }
}

static void on_end(void *arg, int err, const char *why) {
  over(arg, err ? why : NULL);
}

static const struct ln_fetch_ops fetch_ops = {on_head, on_body, on_end};

struct ln_run_http *ln_run_http_new(struct ln_fetcher *fetcher, struct ln_loop *loop,
                                    const struct ln_fetch_conf *conf, bool stream, size_t max,
                                    const char **why) {
  *why = "nothing is fetched here";
  if (!fetcher) return NULL;
  *why = "out of memory";
  struct ln_run_http *h = calloc(1, sizeof *h);
  if (!h) return NULL;
  ln_list_init(&h->link);
  ln_task_init(&h->wake);
  ln_buf_init(&h->url, 2 * LN_URL_MAX);
  ln_buf_init(&h->headers, HEADERS_MAX);
  ln_buf_init(&h->body, stream ? STREAM_MAX : max);
  h->loop = loop;
  h->stream = stream;
  h->max = max;
  h->fetch = ln_fetch_new(fetcher, conf, &fetch_ops, h, why);
  if (h->fetch) return h;
  free(h);
  return NULL;
}

void ln_run_http_taken(struct ln_run_http *h) {
  ln_buf_clear(&h->body);
  if (h->fetch) ln_fetch_pause(h->fetch, false);
}

void ln_run_http_free(struct ln_run_http *h) {
  *h->holder = NULL;
  ln_list_remove(&h->link);
  ln_task_cancel(&h->wake);
  ln_fetch_free(h->fetch);
  ln_buf_deinit(&h->url);
  ln_buf_deinit(&h->headers);
  ln_buf_deinit(&h->body);
  free(h->failed);
  free(h);
}
