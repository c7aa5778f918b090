/* Loops over a list, for list_spec.lua: FFI knows no macros. Nodes are numbers; what a loop met is
 * told in their order. */
#include <string.h>

#include "base/list.h"

struct node {
  int number;
  struct ln_list link;
};

static struct ln_list head, other;
static struct node nodes[10];
static char met[64];

static void meet(struct ln_list *it) {
  size_t n = strlen(met);
  met[n] = (char)('0' + LN_CONTAINER(it, struct node, link)->number);
  met[n + 1] = 0;
}

/* text: a digit a node, each once. */
static void fill(struct ln_list *list, const char *text) {
  ln_list_init(list);
  for (; *text; text++) {
    nodes[*text - '0'].number = *text - '0';
    ln_list_push(list, &nodes[*text - '0'].link);
  }
  met[0] = 0;
}

/* Forwards and back again, so that both kinds of links are seen. */
static const char *both_ways(const struct ln_list *list) {
  met[0] = 0;
  for (struct ln_list *it = list->next; it != list; it = it->next) meet(it);
  strcat(met, "|");
  for (struct ln_list *it = list->prev; it != list; it = it->prev) meet(it);
  return met;
}

const char *list_each(const char *text, const char *removed) {
  fill(&head, text);
  LN_LIST_EACH(it, &head) {
    meet(it);
    if (strchr(removed, '0' + LN_CONTAINER(it, struct node, link)->number)) {
      ln_list_remove(it);
      it->next = it->prev = NULL; /* it may have been freed */
    }
  }
  return met;
}

const char *list_left(void) {
  return both_ways(&head);
}

/* Meeting `at` removes it and all of `removed`. */
const char *list_restart(const char *text, char at, const char *removed) {
  fill(&head, text);
  LN_LIST_EACH(it, &head) {
    meet(it);
    if (LN_CONTAINER(it, struct node, link)->number != at - '0') continue;
    ln_list_remove(it);
    for (; *removed; removed++) ln_list_remove(&nodes[*removed - '0'].link);
    LN_LIST_RESTART(it, &head);
  }
  return met;
}

/* Meeting `at` removes all of `removed` and adds all of `added`. */
const char *list_drain(const char *text, char at, const char *removed, const char *added) {
  fill(&head, text);
  LN_LIST_DRAIN(it, &head) {
    meet(it);
    if (LN_CONTAINER(it, struct node, link)->number != at - '0') continue;
    for (; *removed; removed++) ln_list_remove(&nodes[*removed - '0'].link);
    for (; *added; added++) {
      nodes[*added - '0'].number = *added - '0';
      ln_list_push(&head, &nodes[*added - '0'].link);
    }
  }
  return met;
}

const char *list_move(const char *to, const char *from) {
  fill(&head, to);
  fill(&other, from);
  ln_list_move(&head, &other);
  return ln_list_empty(&other) ? both_ways(&head) : "not empty";
}
