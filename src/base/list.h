/* An intrusive doubly linked ring. A node is embedded in what it links; the head is a node
 * too. A node that is in no list points at itself, so removal is always safe. */
#ifndef LN_BASE_LIST_H
#define LN_BASE_LIST_H

#include "base/base.h"

struct ln_list {
  struct ln_list *next;
  struct ln_list *prev;
};

#ifndef LN_FFI
static inline void ln_list_init(struct ln_list *l) {
  l->next = l->prev = l;
}
static inline bool ln_list_empty(const struct ln_list *l) {
  return l->next == l;
}
/* Before the head: at the end. */
static inline void ln_list_push(struct ln_list *head, struct ln_list *n) {
  n->prev = head->prev;
  n->next = head;
  head->prev->next = n;
  head->prev = n;
}
static inline void ln_list_remove(struct ln_list *n) {
  n->prev->next = n->next;
  n->next->prev = n->prev;
  ln_list_init(n);
}
/* The first node taken out, or NULL. */
static inline struct ln_list *ln_list_shift(struct ln_list *head) {
  struct ln_list *n = head->next;
  if (n == head) return NULL;
  ln_list_remove(n);
  return n;
}
/* All nodes of from, in their order, to the end of to. */
static inline void ln_list_move(struct ln_list *to, struct ln_list *from) {
  if (ln_list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  ln_list_init(from);
}
/* Each node in turn. The body may remove (and free) the current node, but no other. */
#define LN_LIST_EACH(it, head)                                                 \
  for (struct ln_list *it = (head)->next, *it##_next = it->next; it != (head); \
       it = it##_next, it##_next = it->next)
/* Said in the body of LN_LIST_EACH whenever it did what may have removed other nodes: the next turn
 * begins at the front. What it did must keep it from doing the same to the same node again. */
#define LN_LIST_RESTART(it, head) (it##_next = (head)->next)
/* Takes out the first node until there is none; the body may remove any and add some. */
#define LN_LIST_DRAIN(it, head) for (struct ln_list *it = NULL; (it = ln_list_shift(head));)
#endif

#endif
