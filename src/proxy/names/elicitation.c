/* See elicitation.h. A list without an index: a person is asked few questions at once. */
#include "proxy/names/elicitation.h"

#include <stdlib.h>

#include "proxy/server/server.h"

enum { MAX_ELICITATIONS = 256 };

static void elicitation_free(struct ln_elicitation *e) {
  ln_list_remove(&e->link);
  ln_bytes_unref(e->id);
  ln_bytes_unref(e->shown);
  free(e);
}

static struct ln_elicitation *find(const struct ln_session *s, const struct ln_server *server,
                                   struct ln_str id) {
  LN_LIST_EACH(l, &s->elicitations) {
    struct ln_elicitation *e = LN_CONTAINER(l, struct ln_elicitation, link);
    if (e->server == server->serial && ln_str_eq(ln_bytes_str(e->id), id)) return e;
  }
  return NULL;
}

static bool taken(const struct ln_session *s, struct ln_str shown) {
  LN_LIST_EACH(l, &s->elicitations) {
    if (ln_str_eq(ln_bytes_str(LN_CONTAINER(l, struct ln_elicitation, link)->shown), shown))
      return true;
  }
  return false;
}

/* A name for the server's id that no other has: behind the server's name, once or more. */
static struct ln_bytes *apart(const struct ln_session *s, const struct ln_server *server,
                              struct ln_bytes *id) {
  struct ln_bytes *shown = ln_bytes_ref(id);
  while (shown && taken(s, ln_bytes_str(shown))) {
    struct ln_buf b;
    ln_buf_init(&b, SIZE_MAX / 2);
    ln_buf_append_c(&b, server->conf->name);
    ln_buf_append_c(&b, ":");
    ln_buf_append_str(&b, ln_bytes_str(shown));
    ln_bytes_unref(shown);
    shown = ln_buf_finish(&b);
  }
  return shown;
}

struct ln_bytes *ln_elicitation_name(struct ln_session *s, const struct ln_server *server,
                                     struct ln_str id) {
  struct ln_elicitation *e = find(s, server, id);
  if (e) return e->shown;
  if (!(e = calloc(1, sizeof *e))) return NULL;
  ln_list_init(&e->link);
  e->server = server->serial;
  e->id = ln_bytes_copy(id.p, id.n);
  if (e->id) e->shown = apart(s, server, e->id);
  if (!e->shown) {
    elicitation_free(e);
    return NULL;
  }
  size_t n = 0;
  LN_LIST_EACH(l, &s->elicitations) n++;
  if (n >= MAX_ELICITATIONS)
    elicitation_free(LN_CONTAINER(s->elicitations.next, struct ln_elicitation, link));
  ln_list_push(&s->elicitations, &e->link);
  return e->shown;
}

bool ln_elicitation_asked(const struct ln_session *s, const struct ln_server *server,
                          struct ln_str id) {
  return find(s, server, id) != NULL;
}

void ln_elicitation_free_all(struct ln_session *s) {
  LN_LIST_EACH(l, &s->elicitations) elicitation_free(LN_CONTAINER(l, struct ln_elicitation, link));
}
