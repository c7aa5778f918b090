/* Why a request is turned away, and with what. */
#ifndef LN_PROXY_HTTP_REFUSAL_H
#define LN_PROXY_HTTP_REFUSAL_H

/* A status for a request that nobody refused and nobody is to answer yet: it waits for its session
 * (restore.h), and is served then. */
enum { LN_REFUSAL_DEFERRED = -1 };

struct ln_refusal {
  int status;          /* 0: it is not turned away */
  int code;            /* JSON-RPC */
  const char *why;     /* static text */
  const char *headers; /* whole lines, or NULL */
};

#endif
