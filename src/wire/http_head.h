/* What the files of the HTTP parser share; nobody else includes this. */
#ifndef LN_WIRE_HTTP_HEAD_H
#define LN_WIRE_HTTP_HEAD_H

#include "wire/http.h"

/* The states while a head is read; those of a body follow at LN_HTTP_BODY_STATES. */
enum {
  LN_HTTP_AT_START, /* between messages: nothing of the next one was seen */
  LN_HTTP_AT_EMPTY, /* a request's tolerated empty line: its CR was read */
  LN_HTTP_IN_LINE,  /* the start line */
  LN_HTTP_IN_FIELDS,
  LN_HTTP_BODY_STATES
};

/* Byte classes, one bit each. */
enum {
  LN_HTTP_TCHAR = 1,  /* tokens: methods, field names */
  LN_HTTP_HOST = 2,   /* host names and IPv4 addresses */
  LN_HTTP_TARGET = 4, /* request targets: visible ASCII but '#' */
  LN_HTTP_TEXT = 8,   /* values: all but control bytes, tab included */
  LN_HTTP_DIGIT = 16,
  LN_HTTP_HEX = 32
};
extern const uint8_t ln_http_class[256];

static inline bool ln_http_is(char c, uint8_t classes) {
  return ln_http_class[(unsigned char)c] & classes;
}
/* True when every byte is of one of the classes, and there is one. */
bool ln_http_all(struct ln_str s, uint8_t classes);

/* Digits, at most 65535. */
bool ln_http_is_port(struct ln_str s);

/* Ends the parsing. */
enum ln_http_event ln_http_fail(struct ln_http *h, int err, int status, const char *why);
/* Reads on in a head: MORE, HEAD (all fields of h->head are set), ERROR. */
enum ln_http_event ln_http_head_read(struct ln_http *h, struct ln_str *data);
/* Given target and authority (from Host, may be absent) as sent: checks both and makes of them
 * what struct ln_http_head promises. NULL, or what is wrong. */
const char *ln_http_target_resolve(struct ln_http_head *head);

#endif
