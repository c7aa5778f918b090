/* Who is meant: from the name or URI in a request to the component it stands for, by the rules that
 * made the lists. What they hide can't be meant, under whatever name or spelling. */
#ifndef LN_PROXY_RESOLVE_H
#define LN_PROXY_RESOLVE_H

#include "proxy/view.h"

/* What a request is routed by. */
struct ln_subject {
  enum ln_kind kind;   /* LN_KINDS: it names nothing */
  struct ln_str value; /* the raw member, with quotes; absent when missing */
};
struct ln_subject ln_resolve_subject(const struct ln_method *method, const struct ln_msg *msg);
/* A name or URI as a JSON string value, unescaped. One reference; NULL when it is none. */
struct ln_bytes *ln_resolve_key(struct ln_str value);
/* Finds what msg is about, waiting for lists where it must, and calls found once with the
 * exchange's view, entry and upstream set (no entry: the only server's, and nobody looked); or done
 * with the refusal. */
void ln_resolve(struct ln_exchange *x, struct ln_msg *msg,
                void (*found)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done,
                              void *arg),
                ln_reply_fn done, void *arg);

#endif
