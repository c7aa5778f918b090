/* Edits of a message, each of which makes a new one; see message.h. One that changes nothing but
 * the arguments of a call or a result is not indexed again: its slices are moved. */
#include <stdlib.h>

#include "rpc/message.h"

enum { FEW_EDITS = 8 };

/* Every slice of a message. */
#define SLOT(member) offsetof(struct ln_msg, member)
static const size_t slots[] = {
    SLOT(text),   SLOT(jsonrpc),   SLOT(id),           SLOT(method),
    SLOT(params), SLOT(result),    SLOT(error),        SLOT(name),
    SLOT(uri),    SLOT(arguments), SLOT(meta),         SLOT(ref),
    SLOT(task),   SLOT(task_id),   SLOT(related_task), SLOT(progress_token),
};
_Static_assert(LN_COUNT(slots) * sizeof(struct ln_str) == sizeof(struct ln_msg) - SLOT(text),
               "a slice of ln_msg has no row");

/* Whether all edits lie in a value that has no slices of its own, and leave it a container: then
 * the slices are where they were but for what the edits move. */
static bool is_inside(const struct ln_msg *m, const struct ln_edit *edits, size_t n) {
  struct ln_str whole = m->arguments.p ? m->arguments : m->result;
  if (!n || n > FEW_EDITS || whole.n < 2 || (*whole.p != '{' && *whole.p != '[')) return false;
  struct ln_str last = edits[n - 1].at;
  return edits[0].at.p > whole.p && last.p + last.n < whole.p + whole.n;
}

/* The message with its slices in the edited text at p. */
static struct ln_msg *moved(const struct ln_msg *m, const struct ln_edit *edits, size_t n,
                            struct ln_bytes *bytes) {
  struct ln_msg *out = ln_msg_alloc(bytes);
  if (!out) return NULL;
  *out = *m;
  out->refs = 1;
  out->bytes = bytes;
  for (size_t i = 0; i < LN_COUNT(slots); i++) {
    struct ln_str *s = (struct ln_str *)(void *)((char *)out + slots[i]);
    if (!s->p) continue;
    const char *from = s->p, *to = s->p + s->n;
    size_t before = 0, within = 0; /* modulo SIZE_MAX + 1: they may be negative */
    for (size_t k = 0; k < n; k++) {
      size_t grown = edits[k].with.n - edits[k].at.n;
      if (edits[k].at.p < from)
        before += grown;
      else if (edits[k].at.p < to)
        within += grown;
    }
    *s = (struct ln_str){bytes->data + (from - m->text.p) + before, s->n + within};
  }
  return out;
}

/* The edited text's message. Proven text with valid values put in is proven; a value may bring line
 * breaks along. */
static struct ln_msg *edited(const struct ln_msg *m, const struct ln_edit *edits, size_t n,
                             struct ln_bytes *bytes) {
  struct ln_msg *out = NULL;
  bool newlines = m->newlines;
  for (size_t i = 0; i < n && !newlines; i++)
    newlines = edits[i].with.n && (memchr(edits[i].with.p, '\n', edits[i].with.n) ||
                                   memchr(edits[i].with.p, '\r', edits[i].with.n));
  if (is_inside(m, edits, n)) {
    out = moved(m, edits, n, bytes);
    if (out) out->newlines = newlines;
    return out;
  }
  struct ln_msg_fault fault = {0};
  struct ln_str text = ln_bytes_str(bytes);
  if (ln_msg_index(bytes, text, newlines, false, &out, &fault)) out = NULL;
  ln_bytes_unref(fault.id_bytes);
  return out;
}

struct ln_msg *ln_msg_edit(const struct ln_msg *m, const struct ln_edit *edits, size_t n) {
  struct ln_iov small[16], *parts = small;
  size_t max = n * 2 + 1;
  if (max > LN_COUNT(small) && !(parts = calloc(max, sizeof *parts))) return NULL;
  struct ln_msg *out = NULL;
  int got = ln_json_splice(m->text, NULL, edits, n, parts, max);
  size_t total = 0;
  for (int i = 0; i < got; i++) total += parts[i].n;
  struct ln_bytes *bytes = got < 0 ? NULL : ln_bytes_new(total);
  if (bytes) {
    char *p = bytes->data;
    for (int i = 0; i < got; i++) {
      memcpy(p, parts[i].p, parts[i].n);
      p += parts[i].n;
    }
    out = edited(m, edits, n, bytes);
    ln_bytes_unref(bytes);
  }
  if (parts != small) free(parts);
  return out;
}

struct ln_msg *ln_msg_with_params(const struct ln_msg *m, struct ln_str params) {
  if (m->params.p) return ln_msg_edit(m, &(struct ln_edit){m->params, params}, 1);
  const struct ln_str end = {m->text.p + m->text.n - 1, 0}; /* before the closing brace */
  const struct ln_edit edits[] = {{end, LN_STR_LIT(",\"params\":")}, {end, params}};
  return ln_msg_edit(m, edits, LN_COUNT(edits));
}

struct ln_msg *ln_msg_with(struct ln_msg *m, struct ln_str at, struct ln_str text) {
  return ln_str_eq(at, text) ? ln_msg_ref(m) : ln_msg_edit(m, &(struct ln_edit){at, text}, 1);
}
