/* Why an HTTP request is refused, and with which status. */
#ifndef LN_PROXY_HTTP_REFUSAL_H
#define LN_PROXY_HTTP_REFUSAL_H

/* The status of a request that is neither refused nor answered yet: it waits for its session to be
 * restored (restore.h). */
enum { LN_REFUSAL_DEFERRED = -1 };

struct ln_refusal {
  int status;          /* 0: it is not refused */
  int code;            /* JSON-RPC */
  const char *why;     /* static text, but for ln_check_origin's */
  const char *headers; /* whole lines, or NULL */
};

#endif
