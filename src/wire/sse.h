/* Server-sent events, both directions (the WHATWG event stream format).
 *
 * Parser: CR, LF and CRLF end lines, also split between feeds; a BOM at the very start is
 * skipped; comments and unknown fields are ignored; several data lines join with LF; an event
 * without a data field is not delivered (but its id and retry count); an unfinished event at
 * the end of input is dropped. */
#ifndef LN_WIRE_SSE_H
#define LN_WIRE_SSE_H

#include "base/buf.h"

struct ln_sse {
  struct ln_buf line;    /* private: the beginning of an unfinished line's name or value */
  struct ln_buf data;    /* the event's data so far */
  struct ln_buf event;   /* its type */
  struct ln_buf next_id; /* its id, which counts only once the event is whole */
  struct ln_buf last_id; /* of the last whole event; persists from event to event */
  int64_t retry_ms;      /* the last retry field seen, -1 without one; persists */
  int error;             /* private: what ended the parsing */
  uint8_t phase, field;  /* private: where in a line, and of which field */
  bool after_cr;         /* private: an LF now belongs to the line end before it */
  bool has_data, has_id; /* private: the event has such a field */
  bool delivered;        /* private: the type goes with the next call */
};

struct ln_sse_event {
  struct ln_str type;    /* "message" when the field is absent or empty; until next call */
  struct ln_str id;      /* the last event id, possibly empty; until next call */
  struct ln_bytes *data; /* one reference, the caller's */
};

/* max_event bounds one event's data and each other field's value; comments and unknown fields are
 * not kept and may be of any length. */
void ln_sse_init(struct ln_sse *s, size_t max_event);
void ln_sse_deinit(struct ln_sse *s);
/* The next event out of *data, advancing it. LN_OK, LN_EAGAIN (*data used up), LN_ELIMIT,
 * LN_ENOMEM; after these two it gives nothing but the same again. An id with a NUL is ignored, as
 * the format says. Data is not checked for UTF-8 here: the JSON scan does that. */
int ln_sse_next(struct ln_sse *s, struct ln_str *data, struct ln_sse_event *event) LN_CHECK;

/* Appends the fields before the data of one event: "event: T\nid: I\n" (each when present)
 * plus "data: ". The caller sends data (which has no raw CR or LF) and then "\n\n". LN_EINVALID
 * when type or id holds CR, LF or NUL. */
int ln_sse_head(struct ln_buf *out, struct ln_str type, struct ln_str id) LN_CHECK;

#endif
