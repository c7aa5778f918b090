/* One list of one server, made page by page and immutable from then on; see index.h. */
#include <stdlib.h>

#include "mcp/flaw.h"
#include "proxy/catalogue.h"

enum {
  MAX_ITEMS = 100000,
  MAX_MESSAGES = 16 /* bytes of one list, in messages of the greatest size */
};

struct ln_listing *ln_listing_ref(struct ln_listing *sh) {
  sh->refs++;
  return sh;
}

void ln_listing_unref(struct ln_listing *sh) {
  if (!sh || --sh->refs) return;
  for (size_t i = 0; i < sh->n_pages; i++) ln_msg_unref(sh->pages[i]);
  for (size_t i = 0; i < sh->n_items; i++) ln_bytes_unref(sh->items[i].key);
  free(sh->pages);
  free(sh->items);
  free(sh);
}

struct ln_listing *ln_listing_new(struct ln_server *server, enum ln_kind kind) {
  struct ln_listing *sh = calloc(1, sizeof *sh);
  if (!sh) return NULL;
  sh->refs = 1;
  sh->kind = kind;
  sh->server = server;
  return sh;
}

static struct ln_bytes *unescaped(struct ln_str raw) {
  struct ln_buf b;
  ln_buf_init(&b, raw.n * 3 + 16);
  struct ln_bytes *out = NULL;
  if (ln_json_unescape(raw, true, &b) == LN_OK) out = b.len ? ln_buf_take(&b) : ln_bytes_new(0);
  ln_buf_deinit(&b);
  return out;
}

/* Adds one page's items. LN_EPROTOCOL when the result has no such list. */
int ln_listing_add(struct ln_listing *sh, struct ln_msg *page) {
  const struct ln_kind_row *row = &ln_kind_rows[sh->kind];
  struct ln_json_item list, it, key;
  if (!ln_json_get(page->result, row->array, &list) || list.type != LN_JSON_ARRAY)
    return LN_EPROTOCOL;
  size_t n = ln_json_count(list.value), bytes = page->text.n;
  for (size_t i = 0; i < sh->n_pages; i++) bytes += sh->pages[i]->text.n;
  if (sh->n_items + n > MAX_ITEMS ||
      bytes > MAX_MESSAGES * sh->server->host->settings.max_message_bytes)
    return LN_ELIMIT;
  struct ln_msg **pages = realloc(sh->pages, (sh->n_pages + 1) * sizeof *pages);
  if (!pages) return LN_ENOMEM;
  sh->pages = pages;
  struct ln_listing_item *items = realloc(sh->items, (sh->n_items + n + 1) * sizeof *items);
  if (!items) return LN_ENOMEM;
  sh->items = items;
  sh->pages[sh->n_pages++] = ln_msg_ref(page);
  struct ln_json_cur cur = ln_json_enter(list.value);
  while (ln_json_next(&cur, &it)) {
    if (!ln_json_get(it.value, row->key, &key) || key.type != LN_JSON_STRING) {
      LN_LOG(sh->server->host->log, WARN, sh->server->conf->name, "a %s without %s was left out",
             row->noun, row->key);
      continue;
    }
    struct ln_bytes *name = unescaped(ln_json_inside(key.value));
    if (!name) return LN_ENOMEM;
    const char *flaw = ln_flaw_of_item(it.value);
    if (flaw)
      LN_LOG(sh->server->host->log, WARN, sh->server->conf->name,
             "%s \"%.*s\": %s; official clients refuse the whole list", row->noun,
             LN_STR_ARG(((struct ln_str){name->data, name->len})), flaw);
    sh->items[sh->n_items++] = (struct ln_listing_item){it.value, name, key.value};
  }
  return LN_OK;
}

bool ln_listing_same(const struct ln_listing *a, const struct ln_listing *b) {
  if (a->n_items != b->n_items) return false;
  for (size_t i = 0; i < a->n_items; i++)
    if (!ln_str_eq(a->items[i].json, b->items[i].json)) return false;
  return true;
}
