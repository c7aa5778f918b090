/* Messages: what parses has every slice inside its bytes and meaning what a cursor finds there;
 * what is taken of a client is taken of a server too, and the same; edits change what they name and
 * nothing else. */
#include <stdio.h>
#include <stdlib.h>

#include "json_fuzz.h"
#include "rpc/out.h"

static bool inside(const struct ln_msg *m, struct ln_str s) {
  return !s.p ? s.n == 0 : s.p >= m->text.p && s.p + s.n <= m->text.p + m->text.n;
}

static struct ln_msg *parse(struct ln_bytes *bytes, bool strict) {
  const struct ln_msg_limits limits = {
      .json = {.max_bytes = 1 << 16, .max_depth = 64, .max_members = 1000}, .strict = strict};
  struct ln_msg_fault fault;
  struct ln_msg *m = NULL;
  struct ln_str text = {bytes->data, bytes->len};
  int rc = ln_msg_parse(bytes, text, &limits, &m, &fault);
  MUST((rc == LN_OK) == (m != NULL));
  if (!rc) {
    MUST(!fault.id_bytes);
    return m;
  }
  MUST(fault.code == -32700 || fault.code == -32600 || fault.code == -32602);
  MUST(*fault.text && strlen(fault.text) < sizeof fault.text);
  if (fault.id_bytes) {
    char c = fault.id_bytes->data[0];
    MUST(c == '"' || c == '-' || (c >= '0' && c <= '9'));
  }
  ln_bytes_unref(fault.id_bytes);
  return NULL;
}

/* The slice is what the cursor gives for the name, or is absent where there is no such member. */
static void is_member(struct ln_str object, const char *name, struct ln_str slice) {
  struct ln_json_item it;
  bool there = ln_json_get(object, name, &it);
  MUST(!slice.p || (there && slice.p == it.value.p && slice.n == it.value.n));
}

static void check(const struct ln_msg *m, bool strict) {
  const struct ln_str all[] = {m->jsonrpc,   m->id,    m->method, m->params,
                               m->result,    m->error, m->name,   m->uri,
                               m->arguments, m->meta,  m->ref,    m->progress_token};
  for (size_t i = 0; i < LN_COUNT(all); i++) MUST(inside(m, all[i]));
  MUST(m->text.p[0] == '{' && m->text.p[m->text.n - 1] == '}');
  bool response = m->kind == LN_MSG_RESULT || m->kind == LN_MSG_ERROR;
  MUST(response == !m->method.p);
  MUST((m->kind == LN_MSG_RESULT) == (m->result.p != NULL));
  MUST((m->kind == LN_MSG_ERROR) == (m->error.p != NULL));
  if (!response) MUST((m->kind == LN_MSG_REQUEST) == (m->id.p != NULL));
  is_member(m->text, "params", m->params);
  is_member(m->text, "result", m->result);
  is_member(m->text, "error", m->error);
  if (m->id.p) is_member(m->text, "id", m->id);
  for (size_t i = 0; i < m->method.n; i++) MUST((unsigned char)m->method.p[i] > ' ');
  if (m->params.p) {
    is_member(m->params, "name", m->name);
    is_member(m->params, "uri", m->uri);
    is_member(m->params, "arguments", m->arguments);
    is_member(m->params, "ref", m->ref);
  }
  if (strict) MUST(ln_str_is(m->jsonrpc, "\"2.0\""));
}

static bool same_slice(const struct ln_msg *a, struct ln_str x, const struct ln_msg *b,
                       struct ln_str y) {
  return (x.p == NULL) == (y.p == NULL) && x.n == y.n &&
         (!x.p || x.p - a->text.p == y.p - b->text.p);
}

static void same(const struct ln_msg *a, const struct ln_msg *b) {
  MUST(a->kind == b->kind && ln_str_eq(a->text, b->text));
  MUST(same_slice(a, a->id, b, b->id) && same_slice(a, a->method, b, b->method));
  MUST(same_slice(a, a->params, b, b->params) && same_slice(a, a->result, b, b->result));
  MUST(same_slice(a, a->error, b, b->error) && same_slice(a, a->name, b, b->name));
  MUST(same_slice(a, a->uri, b, b->uri) && same_slice(a, a->ref, b, b->ref));
  MUST(same_slice(a, a->arguments, b, b->arguments) && same_slice(a, a->meta, b, b->meta));
  MUST(same_slice(a, a->progress_token, b, b->progress_token));
}

/* Other values there and the old ones back again: the message as it was. */
static void edit(const struct ln_msg *m) {
  struct ln_edit edits[2] = {0};
  size_t n = 0;
  if (m->id.p) edits[n++] = (struct ln_edit){m->id, LN_STR_LIT("\"other id\"")};
  struct ln_str at = m->name.p ? m->name : m->result;
  if (at.p) edits[n++] = (struct ln_edit){at, LN_STR_LIT("\"other\"")};
  if (n == 2 && edits[0].at.p > edits[1].at.p) {
    struct ln_edit first = edits[1];
    edits[1] = edits[0];
    edits[0] = first;
  }
  struct ln_msg *other = ln_msg_edit(m, edits, n);
  MUST(other && other->kind == m->kind);
  check(other, false);
  if (m->id.p) MUST(ln_str_is(other->id, "\"other id\""));
  if (m->name.p) MUST(ln_str_is(other->name, "\"other\""));
  for (size_t i = 0; i < n; i++) {
    bool id = edits[i].at.p == m->id.p;
    edits[i].with = edits[i].at;
    edits[i].at = id ? other->id : m->name.p ? other->name : other->result;
  }
  struct ln_msg *back = ln_msg_edit(other, edits, n);
  MUST(back);
  same(m, back);
  ln_msg_unref(back);
  ln_msg_unref(other);
}

/* Edits within the arguments or the result leave a message that is as if it had been read. */
static void edit_inside(const struct ln_msg *m) {
  struct ln_json_cur cur = ln_json_enter(m->arguments.p ? m->arguments : m->result);
  struct ln_json_item it;
  struct ln_edit edits[3];
  size_t n = 0;
  for (; n < 3 && ln_json_next(&cur, &it); n++)
    edits[n] = (struct ln_edit){it.value, n ? LN_STR_LIT("1") : LN_STR_LIT("[1, {\"a\":2}]")};
  if (!n) return;
  struct ln_msg *other = ln_msg_edit(m, edits, n), *read;
  MUST(other);
  const struct ln_msg_limits limits = {
      .json = {.max_bytes = SIZE_MAX, .max_depth = 1000, .max_members = UINT32_MAX}};
  struct ln_msg_fault fault;
  MUST(!ln_msg_parse(other->bytes, other->text, &limits, &read, &fault));
  same(read, other);
  ln_msg_unref(read);
  ln_msg_unref(other);
}

static void put_params(const struct ln_msg *m) {
  struct ln_msg *with = m->method.p ? ln_msg_with_params(m, LN_STR_LIT("{\"uri\":\"a:b\"}")) : NULL;
  if (!m->method.p) return;
  MUST(with && ln_str_is(with->uri, "\"a:b\"") && with->kind == m->kind);
  check(with, false);
  ln_msg_unref(with);
}

/* On the way out: whole, and on one line when asked for, with the same meaning. */
static void out(struct ln_msg *m, bool strict) {
  struct ln_out o;
  ln_out_init(&o, m);
  ln_out_replace_int(&o, m->id, INT64_MIN);
  ln_out_replace(&o, m->uri, LN_STR_LIT("\"u\""));
  MUST(ln_out_finish(&o, true) == LN_OK);
  struct ln_buf flat;
  ln_buf_init(&flat, SIZE_MAX / 2);
  for (size_t i = 0; i < o.n; i++)
    if (ln_buf_append(&flat, o.parts[i].p, o.parts[i].n)) abort();
  ln_out_deinit(&o);
  MUST(!memchr(flat.data, '\n', flat.len) && !memchr(flat.data, '\r', flat.len));
  struct ln_bytes *bytes = ln_buf_take(&flat);
  struct ln_msg *again = parse(bytes, strict);
  MUST(again && again->kind == m->kind);
  MUST(ln_str_eq(again->method, m->method));
  if (m->id.p) MUST(ln_str_is(again->id, "-9223372036854775808"));
  if (m->uri.p) MUST(ln_str_is(again->uri, "\"u\""));
  ln_msg_unref(again);
  ln_bytes_unref(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > FUZZ_MAX) return 0;
  size_t blocks = ln_bytes_live();
  struct ln_bytes *bytes = ln_bytes_copy((const char *)data, size);
  struct ln_msg *strict = parse(bytes, true), *lax = parse(bytes, false);
  MUST(!strict || lax);
  if (strict) {
    check(strict, true);
    same(strict, lax);
    out(strict, true);
  }
  if (lax) {
    check(lax, false);
    edit(lax);
    edit_inside(lax);
    put_params(lax);
    out(lax, false);
  }
  ln_msg_unref(strict);
  ln_msg_unref(lax);
  ln_bytes_unref(bytes);
  MUST(ln_bytes_live() == blocks && ln_msg_live() == 0);
  return 0;
}
