/* HTTP/1.1 framing (RFC 9112), strict: what two implementations could read differently is
 * refused, not guessed at. Bytes in, events out; no sockets.
 *
 * Refused with an error: bare CR or bare LF as a line end, obsolete folding, white space
 * before a colon or at a line's start, control bytes anywhere in a head, Content-Length twice (even
 * equal) or not plain digits, Content-Length with Transfer-Encoding, any transfer coding but a
 * single "chunked", chunk sizes that overflow or carry junk, a request with no Host or with
 * two (1.1), a Host that is no host and port, an absolute form with another authority than
 * Host or with user information, a fragment in a target, Transfer-Encoding in 1.0, any version
 * but 1.0 and 1.1, a 101 response, heads over the limits. */
#ifndef LN_WIRE_HTTP_H
#define LN_WIRE_HTTP_H

#include "base/buf.h"

enum { LN_HTTP_MAX_HEADERS = 96 };

struct ln_http_header {
  struct ln_str name;  /* as sent */
  struct ln_str value; /* white space off both ends */
};

enum ln_http_kind { LN_HTTP_REQUEST, LN_HTTP_RESPONSE };

enum ln_http_event {
  LN_HTTP_MORE, /* the input is used up */
  LN_HTTP_HEAD, /* a head is complete: see head */
  LN_HTTP_BODY, /* a piece of the body: see body */
  LN_HTTP_END,  /* the message is complete; the next byte starts another */
  LN_HTTP_ERROR /* see error and status; feed no more */
};

/* Slices point into the parser and hold, past END too, until the next head begins. After an ERROR
 * in a body they hold, after one in a head there are none. */
struct ln_http_head {
  struct ln_str method;    /* requests */
  struct ln_str target;    /* requests: origin form; of an absolute form path and query only */
  struct ln_str authority; /* requests: Host, which an absolute form's authority equals */
  int status;              /* responses */
  int minor;               /* HTTP/1.minor */
  bool keep_alive;         /* what the message says of its connection */
  bool chunked;
  bool until_close;       /* a response body ended by the connection's end */
  int64_t content_length; /* -1: none given */
  bool expect_continue;   /* requests */
  struct ln_http_header headers[LN_HTTP_MAX_HEADERS];
  unsigned n_headers;
};

struct ln_http {
  enum ln_http_kind kind;
  struct ln_buf held; /* the head while it is read */
  struct ln_http_head head;
  struct ln_str body; /* LN_HTTP_BODY: points into the input */
  int error;          /* enum ln_err */
  int status;         /* requests: the status to answer with (400, 413, 414, 431, 500, 501, 505) */
  const char *why;    /* a sentence for the log and the peer */
  size_t max_head;
  uint64_t max_body;  /* 0: no limit */
  uint64_t left;      /* private: of the body or the chunk */
  uint64_t body_seen; /* bytes of body so far */
  size_t line;        /* private: where a line of the head began, or bytes counted in one */
  unsigned state;     /* private */
  unsigned skipped;   /* private: informational responses before this one */
  bool cr;            /* private: the last byte of the head so far is a CR */
  bool head_only;     /* responses: set by the owner before the head when the request was HEAD */
};

void ln_http_init(struct ln_http *h, enum ln_http_kind kind, size_t max_head, uint64_t max_body);
void ln_http_deinit(struct ln_http *h);
/* The next event out of *data, advancing it. After END the parser is ready for the next
 * message and what is left of *data belongs to that. Informational (1xx) responses are
 * skipped. A message whose keep_alive is false is its connection's last: what follows it is the
 * owner's to drop. */
enum ln_http_event ln_http_next(struct ln_http *h, struct ln_str *data);
/* Gives the held head's memory back, for a connection that goes idle: after it the slices of
 * the head are void. Inside a message it does nothing. */
void ln_http_release(struct ln_http *h);
/* The peer closed: LN_HTTP_END for a body that lasts until close, LN_HTTP_MORE between
 * messages, else LN_HTTP_ERROR. */
enum ln_http_event ln_http_eof(struct ln_http *h);

/* A copy that holds by itself, to be freed by free; NULL when out of memory. */
struct ln_http_head *ln_http_head_copy(const struct ln_http_head *head);

/* The value of a header by name (any case); absent when missing. *count, if given, says how often
 * it is there. */
struct ln_str ln_http_header(const struct ln_http_head *head, const char *name, unsigned *count);
/* True when a comma-separated header has this token (any case, parameters ignored). For Accept:
 * whether a media type is acceptable, with wildcards and q=0 honoured; an absent or empty Accept
 * accepts nothing here, since MCP demands one. */
bool ln_http_token(struct ln_str value, const char *token);
/* Appends those elements of a comma-separated header that are tokens, ", " between them. */
int ln_http_tokens_copy(struct ln_str value, struct ln_buf *out) LN_CHECK;
bool ln_http_accepts(struct ln_str accept, const char *media_type);
/* True when Accept would rather have the first of two media types: it weighs more, or as much and
 * is named first (RFC 9110, 12.5.1 leaves that to us). */
bool ln_http_prefers(struct ln_str accept, const char *media_type, const char *other);
/* The media type of a Content-Type value without its parameters, trimmed. */
struct ln_str ln_http_media_type(struct ln_str content_type);
/* The first parameter of that name (any case) of a Content-Type value, without its quotes, its
 * escapes as they are; absent when missing. *count says how often it is there. */
struct ln_str ln_http_parameter(struct ln_str content_type, const char *name, unsigned *count);
/* True when s may be a header's value: no control byte but tab. */
bool ln_http_value_ok(struct ln_str s);
const char *ln_http_status_text(int status);

#endif
