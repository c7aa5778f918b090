/* A view as the replies to list requests; see view_page.h. */
#include "proxy/lists/view_page.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mcp/method.h"

/* True when there is one server with one page, which can be sent unchanged. */
static bool untouched(const struct ln_view *v) {
  if (v->n_listings != 1 || !v->listings[0] || v->listings[0]->n_pages != 1) return false;
  for (size_t i = 0; i < v->n_entries; i++)
    if (!v->entries[i].server || !ln_entry_listed(&v->entries[i]) || v->entries[i].json)
      return false;
  struct ln_json_item it;
  struct ln_str result = v->listings[0]->pages[0]->result;
  bool more = ln_json_get(result, "nextCursor", &it) && it.type == LN_JSON_STRING;
  return !more && ln_json_get(result, ln_kind_rows[v->kind].array, &it) &&
         ln_json_count(it.value) == v->n_entries;
}

/* Appends "[…]" of the entries from *i on, at most max of them; *i moves past them. */
static int append_array(const struct ln_view *v, size_t *i, size_t max, struct ln_buf *out) {
  size_t n = 0;
  ln_buf_append_c(out, "[");
  for (; *i < v->n_entries && n < max; (*i)++) {
    const struct ln_entry *e = &v->entries[*i];
    if (!ln_entry_listed(e)) continue;
    if (n++) ln_buf_append_c(out, ",");
    ln_buf_append_str(out, e->json ? ln_bytes_str(e->json) : ln_entry_definition(v, e));
  }
  while (*i < v->n_entries && !ln_entry_listed(&v->entries[*i])) (*i)++;
  return ln_buf_append_c(out, "]");
}

/* Of the names listed, in their order: where pages begin. FNV-1a: a session and its cursors outlive
 * the process, which ln_hash is of. */
static uint64_t names_hash(const struct ln_view *v) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < v->n_entries; i++) {
    const struct ln_bytes *key = v->entries[i].key;
    if (!ln_entry_listed(&v->entries[i])) continue;
    for (size_t k = 0; k <= key->len; k++)
      hash = (hash ^ (unsigned char)(k < key->len ? key->data[k] : 0)) * 1099511628211u;
  }
  return hash;
}

/* What a cursor of this view ends with. Requests with other headers may see another list: their
 * cursors are good for it only when it has the same names. */
static void put_tag(const struct ln_view *v, struct ln_buf *out) {
  if (v->per_request) ln_buf_printf(out, "-%016" PRIx64, v->names_hash);
}

/* The reply with this array: when there is one server with one page, its result with the array
 * replaced, so that other members are kept. */
static struct ln_msg *page_message(const struct ln_view *v, struct ln_str array, size_t next) {
  const char *name = ln_kind_rows[v->kind].array;
  struct ln_json_item it;
  if (!next && v->n_listings == 1 && v->listings[0] && v->listings[0]->n_pages == 1) {
    const struct ln_msg *own = v->listings[0]->pages[0];
    if (ln_json_get(own->result, name, &it))
      return ln_msg_edit(own, &(struct ln_edit){it.value, array}, 1);
  }
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_printf(&b, "{\"%s\":", name);
  ln_buf_append_str(&b, array);
  if (next) {
    ln_buf_printf(&b, ",\"nextCursor\":\"from-%zu", next);
    put_tag(v, &b);
    ln_buf_append_c(&b, "\"");
  }
  ln_buf_append_c(&b, "}");
  struct ln_msg *m = ln_buf_error(&b) ? NULL : ln_msg_result(ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

static int make_pages(struct ln_view *v) {
  size_t size = v->gen->decls->settings.page_size, i = 0;
  size_t max = size ? v->n_entries / size + 2 : 1;
  v->pages = calloc(max, sizeof(struct ln_msg *));
  if (!v->pages) return LN_ENOMEM;
  if (v->per_request && size) v->names_hash = names_hash(v);
  if ((!size || v->n_entries <= size) && untouched(v)) {
    v->pages[v->n_pages++] = ln_msg_ref(v->listings[0]->pages[0]);
    return LN_OK;
  }
  do {
    struct ln_buf array;
    ln_buf_init(&array, SIZE_MAX / 2);
    struct ln_msg *m = NULL;
    if (append_array(v, &i, size ? size : SIZE_MAX, &array) == LN_OK)
      m = page_message(v, ln_buf_str(&array), i < v->n_entries ? v->n_pages + 1 : 0);
    ln_buf_deinit(&array);
    if (!m) {
      ln_view_drop_pages(v);
      return LN_ENOMEM;
    }
    ln_bytes_charge(m->bytes, v->account);
    v->pages[v->n_pages++] = m;
  } while (i < v->n_entries);
  return LN_OK;
}

/* The page that a cursor (raw, without quotes) of this view stands for; 0: none. */
static size_t page_at(const struct ln_view *v, struct ln_str raw) {
  int64_t n = 0;
  struct ln_buf tag;
  ln_buf_init(&tag, 32);
  put_tag(v, &tag);
  struct ln_str end = ln_buf_str(&tag);
  bool ours = raw.p && ln_str_starts(raw, "from-") && raw.n >= 5 + end.n &&
              ln_str_eq((struct ln_str){raw.p + raw.n - end.n, end.n}, end) &&
              ln_json_int((struct ln_str){raw.p + 5, raw.n - 5 - end.n}, &n) && n > 0 &&
              (size_t)n < v->n_pages;
  ln_buf_deinit(&tag);
  return ours ? (size_t)n : 0;
}

struct ln_msg *ln_view_page(struct ln_view *v, struct ln_str cursor, size_t *first) {
  if (!v->pages && make_pages(v)) return NULL;
  size_t page = 0;
  struct ln_str raw = ln_json_inside(cursor);
  if (cursor.p && !(raw.p && !raw.n)) { /* an empty one means the first page */
    page = page_at(v, raw);
    if (!page) return ln_msg_error(-32602, "Unknown cursor: start again without one", LN_STR_NONE);
  }
  *first = page * v->gen->decls->settings.page_size;
  return ln_msg_ref(v->pages[page]);
}

struct ln_str ln_view_page_text(struct ln_view *v, size_t page) {
  if ((!v->pages && make_pages(v)) || page >= v->n_pages) return LN_STR_NONE;
  return v->pages[page]->result;
}
