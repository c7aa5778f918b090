/* One HTTP request to any URL, and its response piece by piece, for lunette.http.
 * Connections are those of http_pool.h, one pool an origin, so keep-alive, proxies of the
 * environment and TLS are as for servers. Here are the rest of a client's duties: redirects, the
 * deadline, which pools are kept.
 *
 * Redirects: 303, and 301 and 302 after POST, go on as GET without the body; others as they
 * were. Another origin gets neither credentials (Authorization, Cookie, the policy's own headers)
 * nor anything but the few headers that describe the content; none from https to http is followed.
 */
#ifndef LN_TRANSPORT_FETCH_H
#define LN_TRANSPORT_FETCH_H

#include "net/loop.h"
#include "transport/url.h"
#include "wire/http.h"

struct ln_fetcher;
struct ln_fetch;

struct ln_fetcher *ln_fetcher_new(struct ln_loop *l); /* NULL: out of memory */
/* No fetch may be left. Closes all connections, frees itself and calls closed, from the loop. */
void ln_fetcher_close(struct ln_fetcher *f, void (*closed)(void *arg), void *arg);

/* From now on nothing is sent: asked gets each request instead, redirects that are followed
 * among them, for ln_fetcher_answer. head: the request line, with the whole URL in it, and the
 * headers that the policy gave, as HTTP writes them. Valid until return; id is never used again. */
void ln_fetcher_divert(struct ln_fetcher *f,
                       void (*asked)(void *arg, unsigned id, struct ln_str head,
                                     struct ln_str body),
                       void *arg);
/* The whole response to one of those, as HTTP writes it; absent: it fails, for that reason. False:
 * the request has ended. */
bool ln_fetcher_answer(struct ln_fetcher *f, unsigned id, struct ln_str response, const char *why);

/* All is copied. */
struct ln_fetch_conf {
  const char *method;         /* as it is sent */
  const char *url;            /* http or https; a fragment is left out */
  const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
  struct ln_str body;         /* absent: none */
  uint64_t timeout_ms;        /* from now to the response's last byte */
  unsigned redirects;         /* that are followed; 0: one is a response like any other */
};

/* All come from the loop. The fetch may be freed, paused and others started from inside. */
struct ln_fetch_ops {
  /* The final response's head, valid until return, and the URL that it came from. */
  void (*head)(void *arg, const struct ln_http_head *head, const struct ln_url *url);
  void (*body)(void *arg, struct ln_str piece);
  /* The last: LN_OK when the response was complete, else why is a sentence. */
  void (*end)(void *arg, int err, const char *why);
};

/* NULL with *why (a sentence) when it can't be begun: a URL, a method or header that is none. */
struct ln_fetch *ln_fetch_new(struct ln_fetcher *f, const struct ln_fetch_conf *conf,
                              const struct ln_fetch_ops *ops, void *arg, const char **why);
/* Back-pressure. At most what has been read already still comes. */
void ln_fetch_pause(struct ln_fetch *x, bool paused);
/* Always the owner's to call, before or after the end; no event follows. */
void ln_fetch_free(struct ln_fetch *x); /* NULL is fine */

#endif
