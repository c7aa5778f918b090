/* See elicited.h. A short list: people answer few questions at once. */
#include "proxy/elicited.h"

#include <stdlib.h>

#include "proxy/upstream.h"

enum { MAX_ELICITED = 256 };

static struct ln_str str_of(const struct ln_bytes *b) {
  return (struct ln_str){b->data, b->len};
}

static void elicited_free(struct ln_elicitation *e) {
  ln_list_remove(&e->link);
  ln_bytes_unref(e->id);
  ln_bytes_unref(e->shown);
  free(e);
}

static struct ln_elicitation *find(const struct ln_session *s, const struct ln_server *server,
                                   struct ln_str id) {
  LN_LIST_EACH(l, &s->elicited) {
    struct ln_elicitation *e = LN_CONTAINER(l, struct ln_elicitation, link);
    if (e->server == server && ln_str_eq(str_of(e->id), id)) return e;
  }
  return NULL;
}

static bool taken(const struct ln_session *s, struct ln_str shown) {
  LN_LIST_EACH(l, &s->elicited) {
    if (ln_str_eq(str_of(LN_CONTAINER(l, struct ln_elicitation, link)->shown), shown)) return true;
  }
  return false;
}

static struct ln_bytes *apart(const struct ln_server *server, struct ln_str id) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  int rc = ln_buf_append_c(&b, server->conf->name);
  if (!rc) rc = ln_buf_append_c(&b, ":");
  if (!rc) rc = ln_buf_append_str(&b, id);
  struct ln_bytes *out = rc ? NULL : ln_buf_take(&b);
  ln_buf_deinit(&b);
  return out;
}

struct ln_bytes *ln_elicitation_name(struct ln_session *s, const struct ln_server *server,
                                     struct ln_str id) {
  struct ln_elicitation *e = find(s, server, id);
  if (e) return e->shown;
  if (!(e = calloc(1, sizeof *e))) return NULL;
  ln_list_init(&e->link);
  e->server = server;
  e->id = ln_bytes_copy(id.p, id.n);
  if (e->id) e->shown = taken(s, id) ? apart(server, id) : ln_bytes_ref(e->id);
  if (!e->shown) {
    elicited_free(e);
    return NULL;
  }
  size_t n = 0;
  LN_LIST_EACH(l, &s->elicited) n++;
  if (n >= MAX_ELICITED) elicited_free(LN_CONTAINER(s->elicited.next, struct ln_elicitation, link));
  ln_list_push(&s->elicited, &e->link);
  return e->shown;
}

bool ln_elicitation_here(const struct ln_session *s, const struct ln_server *server,
                         struct ln_str id) {
  return find(s, server, id) != NULL;
}

void ln_elicitation_free_all(struct ln_session *s) {
  LN_LIST_EACH(l, &s->elicited) elicited_free(LN_CONTAINER(l, struct ln_elicitation, link));
}
