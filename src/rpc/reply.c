/* Replies that are errors; see reply.h. */
#include "rpc/reply.h"

#include <stdio.h>

void ln_reply_error(ln_reply_fn done, void *arg, int code, const char *text) {
  done(arg, ln_msg_error(code, text, LN_STR_NONE));
}

void ln_reply_no_method(ln_reply_fn done, void *arg, struct ln_str method) {
  char text[320];
  snprintf(text, sizeof text, "Method not found: %.*s", LN_STR_ARG(method));
  ln_reply_error(done, arg, -32601, text);
}

void ln_reply_no_memory(ln_reply_fn done, void *arg) {
  ln_reply_error(done, arg, -32603, "Out of memory");
}

void ln_reply_ignore(void *arg, struct ln_msg *reply) {
  (void)arg;
  ln_msg_unref(reply);
}
