/* The headers of the HTTP request that a message came by, kept for policies. No I/O. */
#ifndef LN_PROXY_CLIENT_HEADERS_H
#define LN_PROXY_CLIENT_HEADERS_H

#include "base/buf.h"
#include "wire/http.h"

/* A copy to keep: one reference. NULL: out of memory. */
struct ln_bytes *ln_headers_copy(const struct ln_http_head *head);
/* Appends a copy as a JSON object: lower-case names, the values of one name joined by ", ";
 * bytes that are no UTF-8 become U+FFFD. */
int ln_headers_json(const struct ln_bytes *headers, struct ln_buf *out) LN_CHECK;
/* Those of these names (a NUL behind each; NULL: all) as a copy, or all of them: one reference in
 * *out, which stays as it is where there are none. LN_ELIMIT: they have more bytes than max. */
int ln_headers_some(struct ln_bytes *headers, const struct ln_bytes *names, size_t max,
                    struct ln_bytes **out) LN_CHECK;
/* True when both have the same values, or none, for this lower-case name. NULL: no headers. */
bool ln_headers_agree(const struct ln_bytes *a, const struct ln_bytes *b, struct ln_str name);

#endif
