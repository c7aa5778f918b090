/* The last events of a stream of server-sent events, kept for a client that has lost its
 * connection, and the ids of events (basic/transports, "Resumability and Redelivery"). No I/O. */
#ifndef LN_PROXY_HTTP_REPLAY_H
#define LN_PROXY_HTTP_REPLAY_H

#include "base/buf.h"
#include "base/list.h"

enum {
  LN_REPLAY_EVENTS = 256,       /* kept of one stream */
  LN_REPLAY_BYTES = 1 << 20,    /* the same; a single larger event is kept all the same */
  LN_REPLAY_TOTAL = 32 << 20,   /* of all streams of a front */
  LN_REPLAY_FINISHED = 16,      /* ended streams kept of one session */
  LN_REPLAY_KEEP_MS = 60 * 1000 /* how long they are kept */
};

struct ln_replay_event {
  struct ln_list link;
  uint64_t number;
  size_t bytes;   /* the memory that it takes … */
  size_t own;     /* … without that of owned parts */
  bool droppable; /* a notification: dropped before others */
  size_t n_parts;
  struct ln_iov parts[]; /* the data; bytes without an owner are stored behind the array */
};

/* The events of one stream, numbered from 1. */
struct ln_replay {
  struct ln_list events;
  uint64_t last; /* the number of the last event */
  size_t count, bytes;
  size_t *total;             /* of the front */
  struct ln_account *holder; /* whose they are; counted, or NULL */
};
void ln_replay_init(struct ln_replay *r, size_t *total, struct ln_account *holder);
void ln_replay_deinit(struct ln_replay *r);
/* Drops events until no more than `keep` are left. */
void ln_replay_trim(struct ln_replay *r, size_t keep);
/* Gives an event its number and keeps it; drops older ones when there are too many. LN_ENOMEM: it
 * got a number but is not kept. */
int ln_replay_add(struct ln_replay *r, const struct ln_iov *parts, size_t n,
                  bool droppable) LN_CHECK;
/* The first event after that number, or NULL; then ln_replay_next. */
const struct ln_replay_event *ln_replay_after(const struct ln_replay *r, uint64_t number);
const struct ln_replay_event *ln_replay_next(const struct ln_replay *r,
                                             const struct ln_replay_event *e);

/* The id of an event names the process, the stream and the event; and, if its id is a number, the
 * request that the stream answers, so that after a restart it can be answered with an error. */
enum { LN_REPLAY_ID = 64 };
struct ln_replay_id {
  uint32_t epoch;
  uint32_t stream;
  uint64_t number;
  bool has_request; /* request is set: the id of the request */
  uint64_t request;
};
struct ln_str ln_replay_id_write(struct ln_replay_id id, char text[LN_REPLAY_ID]);
/* False for what ln_replay_id_write never wrote. */
bool ln_replay_id_read(struct ln_str text, struct ln_replay_id *id);

#endif
