/* A server's list, made page by page; see listing.h. */
#include "proxy/lists/listing.h"

#include <stdlib.h>

#include "base/map.h"
#include "mcp/flaw.h"
#include "mcp/method.h"
#include "proxy/server/server.h"

enum {
  MAX_ITEMS = 100000,
  MAX_MESSAGES = 16 /* a list's pages have at most so many times max_message_bytes in all */
};

struct ln_listing *ln_listing_ref(struct ln_listing *list) {
  list->refs++;
  return list;
}

void ln_listing_unref(struct ln_listing *list) {
  if (!list || --list->refs) return;
  ln_list_remove(&list->link);
  for (size_t i = 0; i < list->n_pages; i++) ln_msg_unref(list->pages[i]);
  for (size_t i = 0; i < list->n_items; i++) ln_bytes_unref(list->items[i].key);
  free(list->pages);
  free(list->items);
  free(list);
}

struct ln_listing *ln_listing_new(struct ln_server *server, enum ln_kind kind) {
  struct ln_listing *list = calloc(1, sizeof *list);
  if (!list) return NULL;
  ln_list_init(&list->link);
  list->refs = 1;
  list->kind = kind;
  list->server = server;
  return list;
}

/* Adds one item; there is room. One that names nothing is left out. */
static int add_item(struct ln_listing *list, struct ln_str json) {
  const struct ln_kind_row *row = &ln_kind_rows[list->kind];
  struct ln_server *server = list->server;
  struct ln_log *log = server->host->log;
  struct ln_json_item key;
  if (!ln_json_get(json, row->key, &key) || key.type != LN_JSON_STRING) {
    LN_LOG(log, WARN, server->conf->name, "a %s without %s was left out", row->noun, row->key);
    return LN_OK;
  }
  struct ln_bytes *name = ln_json_text(key.value);
  if (!name) return LN_ENOMEM;
  const char *flaw = ln_flaw_of_item(json);
  if (flaw)
    LN_LOG(log, WARN, server->conf->name, "%s \"%.*s\": %s; official clients refuse the whole list",
           row->noun, LN_STR_ARG((ln_bytes_str(name))), flaw);
  list->items[list->n_items++] = (struct ln_listing_item){json, name, key.value};
  return LN_OK;
}

int ln_listing_add(struct ln_listing *list, struct ln_msg *page) {
  const struct ln_kind_row *row = &ln_kind_rows[list->kind];
  struct ln_json_item array, it;
  if (!ln_json_get(page->result, row->array, &array) || array.type != LN_JSON_ARRAY)
    return LN_EPROTOCOL;
  size_t n = ln_json_count(array.value), bytes = page->text.n;
  for (size_t i = 0; i < list->n_pages; i++) bytes += list->pages[i]->text.n;
  if (list->n_items + n > MAX_ITEMS ||
      bytes > MAX_MESSAGES * list->server->host->settings.max_message_bytes)
    return LN_ELIMIT;
  struct ln_msg **pages = realloc(list->pages, (list->n_pages + 1) * sizeof *pages);
  if (!pages) return LN_ENOMEM;
  list->pages = pages;
  struct ln_listing_item *items = realloc(list->items, (list->n_items + n + 1) * sizeof *items);
  if (!items) return LN_ENOMEM;
  list->items = items;
  list->pages[list->n_pages++] = ln_msg_ref(page);
  struct ln_json_cur cur = ln_json_enter(array.value);
  int rc = LN_OK;
  while (!rc && ln_json_next(&cur, &it)) rc = add_item(list, it.value);
  return rc;
}

static bool same(const struct ln_listing *a, const struct ln_listing *b) {
  if (a->hash != b->hash || a->kind != b->kind || a->n_items != b->n_items) return false;
  for (size_t i = 0; i < a->n_items; i++)
    if (!ln_str_eq(a->items[i].json, b->items[i].json)) return false;
  return true;
}

struct ln_listing *ln_listing_intern(struct ln_listing *list) {
  list->hash = list->n_items;
  for (size_t i = 0; i < list->n_items; i++)
    list->hash = list->hash * 0x100000001b3 + ln_hash(list->items[i].json);
  LN_LIST_EACH(l, &list->server->listings) {
    struct ln_listing *known = LN_CONTAINER(l, struct ln_listing, link);
    if (!same(known, list)) continue;
    ln_listing_ref(known);
    ln_listing_unref(list);
    return known;
  }
  ln_list_push(&list->server->listings, &list->link);
  return list;
}
