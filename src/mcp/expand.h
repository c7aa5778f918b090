/* URI templates (RFC 6570) read forwards: what URI comes of values that are texts. */
#ifndef LN_MCP_EXPAND_H
#define LN_MCP_EXPAND_H

#include "base/buf.h"

/* The value of a variable, unescaped; absent: it is not known. */
typedef struct ln_str (*ln_expand_fn)(void *arg, struct ln_str name);

/* Appends the URI. What is not known is left out. LN_EAGAIN: something was not known. LN_ENOMEM,
 * LN_ELIMIT. */
int ln_expand(struct ln_str uri_template, ln_expand_fn value, void *arg,
              struct ln_buf *out) LN_CHECK;
/* Appends a glob that matches the URIs that may come of it, whatever the values are that are not
 * known. */
int ln_expand_glob(struct ln_str uri_template, ln_expand_fn value, void *arg,
                   struct ln_buf *out) LN_CHECK;

#endif
