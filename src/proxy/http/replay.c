/* The last events of a stream; see replay.h. An event refers to the message's own bytes; only bytes
 * that were spliced in are copied.
 *
 * Notifications are dropped first, the oldest first: for a response or request that is lost
 * somebody would wait. */
#include "proxy/http/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/account.h"

void ln_replay_init(struct ln_replay *r, size_t *total, struct ln_account *holder) {
  *r = (struct ln_replay){0};
  r->total = total;
  r->holder = ln_account_ref(holder);
  ln_list_init(&r->events);
}

static struct ln_replay_event *event_of(struct ln_list *l) {
  return LN_CONTAINER(l, struct ln_replay_event, link);
}

static void drop(struct ln_replay *r, struct ln_replay_event *e) {
  ln_list_remove(&e->link);
  r->count--;
  r->bytes -= e->bytes;
  *r->total -= e->bytes;
  ln_account_give(r->holder, LN_SHORT_REPLAY, e->bytes);
  ln_account_give(r->holder, LN_SHORT_BYTES, e->own);
  for (size_t i = 0; i < e->n_parts; i++) ln_bytes_unref(e->parts[i].owner);
  free(e);
}

/* The oldest notification, but not the newest event; else the oldest event. */
static struct ln_replay_event *least_needed(struct ln_replay *r) {
  LN_LIST_EACH(l, &r->events) {
    if (l != r->events.prev && event_of(l)->droppable) return event_of(l);
  }
  return event_of(r->events.next);
}

void ln_replay_trim(struct ln_replay *r, size_t keep) {
  while (r->count > keep) drop(r, least_needed(r));
}

int ln_replay_add(struct ln_replay *r, const struct ln_iov *parts, size_t n, bool droppable) {
  size_t loose = 0, bytes = sizeof(struct ln_replay_event) + n * sizeof *parts;
  r->last++;
  for (size_t i = 0; i < n; i++) {
    bytes += parts[i].n;
    if (!parts[i].owner) loose += parts[i].n;
  }
  struct ln_replay_event *e = malloc(sizeof *e + n * sizeof *parts + loose);
  if (!e) return LN_ENOMEM;
  *e = (struct ln_replay_event){
      .number = r->last, .bytes = bytes, .droppable = droppable, .n_parts = n};
  e->own = sizeof *e + n * sizeof *parts + loose;
  char *copy = (char *)&e->parts[n];
  for (size_t i = 0; i < n; i++) {
    e->parts[i] = parts[i];
    if (parts[i].owner) {
      ln_bytes_charge(ln_bytes_ref(parts[i].owner), r->holder);
    } else if (parts[i].n) {
      memcpy(copy, parts[i].p, parts[i].n);
      e->parts[i].p = copy;
      copy += parts[i].n;
    }
  }
  ln_list_push(&r->events, &e->link);
  r->count++;
  r->bytes += bytes;
  *r->total += bytes;
  ln_account_add(r->holder, LN_SHORT_REPLAY, bytes);
  ln_account_add(r->holder, LN_SHORT_BYTES, e->own);
  ln_replay_trim(r, LN_REPLAY_EVENTS);
  while (r->count > 1 && r->bytes > LN_REPLAY_BYTES) drop(r, least_needed(r));
  return LN_OK;
}

void ln_replay_deinit(struct ln_replay *r) {
  LN_LIST_EACH(l, &r->events) drop(r, event_of(l));
  ln_account_unref(r->holder);
  r->holder = NULL;
}

const struct ln_replay_event *ln_replay_after(const struct ln_replay *r, uint64_t number) {
  LN_LIST_EACH(l, &r->events) {
    if (event_of(l)->number > number) return event_of(l);
  }
  return NULL;
}

const struct ln_replay_event *ln_replay_next(const struct ln_replay *r,
                                             const struct ln_replay_event *e) {
  return e->link.next == &r->events ? NULL : event_of(e->link.next);
}

/* --- ids --- */

struct ln_str ln_replay_id_write(struct ln_replay_id id, char text[LN_REPLAY_ID]) {
  int n = snprintf(text, LN_REPLAY_ID, "%08" PRIx32 "-%" PRIx32 "-%" PRIx64, id.epoch, id.stream,
                   id.number);
  if (id.has_request) n += snprintf(text + n, LN_REPLAY_ID - (size_t)n, "-%" PRIx64, id.request);
  return (struct ln_str){text, (size_t)n};
}

/* Reads lower-case digits up to a dash or the end. */
static bool read_hex(struct ln_str *text, size_t width, uint64_t *out) {
  size_t n = 0;
  *out = 0;
  for (; n < text->n && text->p[n] != '-'; n++) {
    char c = text->p[n];
    bool digit = c >= '0' && c <= '9';
    if (n == width || !(digit || (c >= 'a' && c <= 'f'))) return false;
    *out = *out << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
  }
  if (n == 0) return false;
  text->p += LN_MIN(n + 1, text->n);
  text->n -= LN_MIN(n + 1, text->n);
  return true;
}

bool ln_replay_id_read(struct ln_str text, struct ln_replay_id *id) {
  uint64_t epoch, stream;
  char again[LN_REPLAY_ID];
  struct ln_str rest = text;
  *id = (struct ln_replay_id){0};
  if (!read_hex(&rest, 8, &epoch) || !read_hex(&rest, 8, &stream) ||
      !read_hex(&rest, 16, &id->number))
    return false;
  id->has_request = rest.n > 0;
  if (id->has_request && !read_hex(&rest, 16, &id->request)) return false;
  id->epoch = (uint32_t)epoch;
  id->stream = (uint32_t)stream;
  return ln_str_eq(ln_replay_id_write(*id, again), text);
}
