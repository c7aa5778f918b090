/* Merging an edited Lua value into its source; see value_merge.h. Source and table are walked
 * together: equal parts keep their bytes, order and white space; removed members are cut with one
 * comma; new ones are added at the end, sorted by name. Of members with the same name (twins) in an
 * edited object only the last is kept, which the table was decoded from. value_align.c pairs the
 * elements of arrays.
 *
 * Invariant: with `comparing` set no edit is made, and the first difference ends the walk with
 * LN_EAGAIN. */
#include "script/value_merge.h"

#include <lauxlib.h>
#include <lua.h>

#include "script/value_align.h"
#include "script/value_decode.h"
#include "script/value_encode.h"
#include "script/value_origin.h"
#include "script/value_scalar.h"
#include "script/value_walk.h"

enum { FEW_MEMBERS = 24, EXTRA_STEPS = 20000, EXTRA_STEPS_PER_BYTE = 2 };

/* LN_OK: merged (or equal, when comparing); LN_EAGAIN: differs; or an error. */
static int merge_value(lua_State *L, struct ln_codec *c, struct ln_str src, enum ln_json_type type,
                       int idx);

/* Pushes the Lua string for a raw name (without quotes). */
static void push_name(lua_State *L, struct ln_codec *c, struct ln_str name) {
  ln_value_decode_string(L, c, (struct ln_str){name.p - 1, name.n + 2});
}

static int replace(lua_State *L, struct ln_codec *c, struct ln_str src, int idx) {
  if (c->comparing) return LN_EAGAIN;
  size_t off = c->text.len;
  int rc = ln_value_encode_append(L, c, idx, false);
  return rc ? rc : ln_walk_edit(c, src.p, src.p + src.n, off);
}

/* --- objects --- */

static bool is_empty_table(lua_State *L, int idx) {
  if (!lua_istable(L, idx)) return false;
  if (idx < 0) idx = lua_gettop(L) + 1 + idx;
  lua_pushnil(L);
  if (!lua_next(L, idx)) return true;
  lua_pop(L, 2);
  return false;
}

static bool is_optional(const struct ln_codec *c, struct ln_str name) {
  return c->depth == 0 && c->optional && ln_json_str_is(name, c->optional);
}

static int read_members(lua_State *L, struct ln_codec *c, struct ln_str src, int idx, size_t *n) {
  struct ln_json_cur cur = ln_json_enter(src);
  struct ln_json_item item;
  for (*n = 0; ln_json_next(&cur, &item); (*n)++) {
    struct ln_value_member m = {.name = item.key, .value = item.value, .type = item.type};
    push_name(L, c, item.key);
    const void *key = lua_tostring(L, -1);
    lua_rawget(L, idx);
    /* A string that is a key of the table is not freed, so that its address identifies it. */
    if (lua_isnil(L, -1))
      m.drop = true;
    else
      m.key = key;
    if (item.type == LN_JSON_NULL && is_optional(c, item.key)) m.same = is_empty_table(L, -1);
    lua_pop(L, 1);
    int rc = ln_buf_append(&c->members, (const char *)&m, sizeof m);
    if (rc) return rc;
  }
  c->steps += *n + src.n / LN_VALUE_SKIP;
  return LN_OK;
}

/* Pushes a table whose keys are the addresses of the members' names; nil when a linear search
 * through so few members is quicker. */
static void push_known(lua_State *L, struct ln_codec *c, size_t base, size_t n) {
  if (n <= FEW_MEMBERS) {
    lua_pushnil(L);
    return;
  }
  lua_newtable(L);
  for (size_t i = n; i-- > 0;) {
    struct ln_value_member *m = ln_walk_member(c, base, i);
    if (!m->key) continue;
    lua_pushlightuserdata(L, (void *)(uintptr_t)m->key);
    lua_rawget(L, -2);
    m->twin = !lua_isnil(L, -1);
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)m->key);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
}

/* Marks members of which a later one has the same name; how many. */
static size_t count_twins(struct ln_codec *c, size_t base, size_t n) {
  size_t twins = 0;
  for (size_t i = 0; i < n; i++) {
    struct ln_value_member *m = ln_walk_member(c, base, i);
    for (size_t j = i + 1; n <= FEW_MEMBERS && m->key && j < n && !m->twin; j++)
      m->twin = ln_walk_member(c, base, j)->key == m->key;
    twins += m->twin;
  }
  return twins;
}

static bool is_known(lua_State *L, struct ln_codec *c, size_t base, size_t n, int known,
                     const char *key) {
  if (lua_isnil(L, known)) {
    for (size_t i = 0; i < n; i++)
      if (ln_walk_member(c, base, i)->key == key) return true;
    return false;
  }
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawget(L, known);
  bool yes = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return yes;
}

/* Appends the table's members that the source lacks: `,"a":1,"b":2`, without the first comma when
 * the object has no other members. */
static int append_new(lua_State *L, struct ln_codec *c, size_t base, size_t n, int idx, int known,
                      bool comma) {
  size_t keys = c->keys.len, count;
  int rc = ln_value_encode_keys(L, c, idx, &count);
  for (size_t i = 0; i < count && rc == LN_OK; i++) {
    struct ln_str key = ln_value_encode_key(c, keys, i);
    if (is_known(L, c, base, n, known, key.p)) continue;
    lua_pushlstring(L, key.p, key.n);
    lua_rawget(L, idx);
    bool skip =
        c->depth == 0 && c->optional && ln_str_is(key, c->optional) && is_empty_table(L, -1);
    if (!skip) {
      if (comma) ln_buf_append(&c->text, ",", 1);
      comma = true;
      ln_json_quote(&c->text, key);
      rc = ln_buf_append(&c->text, ":", 1);
      if (rc == LN_OK) rc = ln_value_enter(c, (struct ln_value_step){key.p, key.n, 0, idx});
      if (rc == LN_OK) rc = ln_value_encode_append(L, c, lua_gettop(L), false);
      if (rc == LN_OK) ln_value_leave(c);
    }
    lua_pop(L, 1);
  }
  c->keys.len = keys;
  return rc;
}

static int merge_member(lua_State *L, struct ln_codec *c, struct ln_value_member m, int idx) {
  if (m.same) return LN_OK;
  int rc = ln_value_enter(c, (struct ln_value_step){m.name.p, m.name.n, 0, idx});
  if (rc) return rc;
  push_name(L, c, m.name);
  lua_rawget(L, idx);
  rc = merge_value(L, c, m.value, m.type, lua_gettop(L));
  lua_pop(L, 1);
  if (rc == LN_OK) ln_value_leave(c);
  return rc;
}

/* What is known of an object before its members are merged. */
struct object {
  size_t base, n; /* its members */
  size_t live;    /* of these, how many stay */
  size_t twins, removed, added;
  int known; /* stack index, see push_known */
};

static void survey(lua_State *L, struct ln_codec *c, int idx, size_t in_table, struct object *o) {
  push_known(L, c, o->base, o->n);
  o->known = lua_gettop(L);
  o->twins = count_twins(c, o->base, o->n);
  bool has_optional = false;
  for (size_t i = 0; i < o->n; i++) {
    const struct ln_value_member *m = ln_walk_member(c, o->base, i);
    o->removed += m->drop;
    o->live += !m->drop && !m->twin;
    has_optional |= is_optional(c, m->name);
  }
  o->added = in_table - o->live;
  if (c->depth == 0 && c->optional && !has_optional) {
    lua_pushstring(L, c->optional);
    lua_rawget(L, idx);
    if (is_empty_table(L, -1)) o->added--;
    lua_pop(L, 1);
  }
}

static void drop_twins(struct ln_codec *c, const struct object *o) {
  for (size_t i = 0; i < o->n; i++) {
    struct ln_value_member *m = ln_walk_member(c, o->base, i);
    m->drop |= m->twin;
  }
}

static int edit_members(lua_State *L, struct ln_codec *c, const struct object *o, struct ln_str src,
                        int idx) {
  size_t off = c->text.len;
  int rc = o->added ? append_new(L, c, o->base, o->n, idx, o->known, o->live > 0) : LN_OK;
  struct ln_walk w = {.base = o->base, .n = o->n, .tail_off = off, .tail_len = c->text.len - off};
  for (size_t i = 0; i < o->n && rc == LN_OK;) {
    struct ln_value_member m = *ln_walk_member(c, o->base, i); /* the buffer moves meanwhile */
    if (m.drop) {
      rc = ln_walk_cut(c, &w, &i);
      continue;
    }
    if (!m.twin) rc = merge_member(L, c, m, idx);
    w.kept = m.value.p + m.value.n;
    i++;
  }
  return rc ? rc : ln_walk_tail(c, &w, src);
}

static int merge_surveyed(lua_State *L, struct ln_codec *c, struct ln_str src, int idx,
                          size_t in_table) {
  struct object o = {.base = c->members.len};
  size_t before = c->pending.len;
  bool surveyed = c->surveyed;
  c->surveyed = true;
  int top = lua_gettop(L);
  int rc = read_members(L, c, src, idx, &o.n);
  if (rc == LN_OK) {
    survey(L, c, idx, in_table, &o);
    bool edited = o.removed || o.added;
    if (edited && c->comparing) {
      rc = LN_EAGAIN;
    } else {
      if (edited) drop_twins(c, &o);
      rc = edit_members(L, c, &o, src, idx);
    }
    if (rc == LN_OK && o.twins && !edited && c->pending.len > before) {
      /* Only now it is known that a member has changed: these edits are out of order. */
      c->unordered = true;
      drop_twins(c, &o);
      rc = ln_walk_cut_all(c, o.base, o.n);
    }
  }
  c->surveyed = surveyed;
  lua_settop(L, top);
  c->members.len = o.base;
  return rc;
}

/* --- plain objects ---
 *
 * The commonest case is handled in one walk: the table has the members of the source and no others.
 * That this isn't so may be found only at the end; then the edits are undone and the object is
 * merged with a survey (merge_surveyed), inside which no object is tried like this (every level
 * would double the work of the one above). When too much has been undone already, the objects
 * around it are given up at once. */

static int merge_item(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur,
                      const struct ln_json_item *item, int idx);

/* Whether the table has this member (its value is on top of the stack), and it is no twin. */
static bool is_plain(lua_State *L, const struct ln_codec *c, const struct ln_json_item *item,
                     const void *const *seen, size_t n, const void *key) {
  if (n == FEW_MEMBERS || lua_isnil(L, -1)) return false;
  if (item->type == LN_JSON_NULL && is_optional(c, item->key)) return false;
  for (size_t i = 0; i < n; i++)
    if (seen[i] == key) return false;
  return true;
}

/* cur is inside the object; behind it, when this succeeds. */
static int merge_plain(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur, int idx,
                       size_t in_table, bool *plain) {
  const void *seen[FEW_MEMBERS];
  struct ln_json_item item;
  int rc = LN_OK;
  size_t n = 0;
  for (; *plain && rc == LN_OK && ln_json_step(cur, &item); n++) {
    push_name(L, c, item.key);
    const void *key = lua_tostring(L, -1);
    lua_rawget(L, idx);
    *plain = n < in_table && is_plain(L, c, &item, seen, n, key);
    if (*plain) {
      seen[n] = key;
      rc = ln_value_enter(c, (struct ln_value_step){item.key.p, item.key.n, 0, idx});
      if (rc == LN_OK) rc = merge_item(L, c, cur, &item, lua_gettop(L));
      if (rc == LN_OK) ln_value_leave(c);
    }
    lua_pop(L, 1);
  }
  if (rc == LN_OK && n != in_table) *plain = false;
  if (rc == LN_OK && *plain) ln_json_leave(cur);
  return rc;
}

/* item: the object that cur has stepped into. */
static int merge_object(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur,
                        const struct ln_json_item *item, int idx, size_t in_table) {
  bool plain = !c->surveyed && ln_walk_affords(c);
  size_t pending = c->pending.len, text = c->text.len, steps = c->steps, extra = c->extra;
  unsigned depth = c->depth;
  if (plain) {
    c->trying++;
    int rc = merge_plain(L, c, cur, idx, in_table, &plain);
    c->trying--;
    bool given_up = rc == LN_EAGAIN && !c->comparing;
    if (plain && !given_up) return rc;
    c->pending.len = pending;
    c->text.len = text;
    c->depth = depth;
    ln_walk_charge(c, steps, extra);
    if (c->trying && !c->comparing && !ln_walk_affords(c)) return LN_EAGAIN;
  }
  return merge_surveyed(L, c, ln_json_whole(cur, item), idx, in_table);
}

/* --- arrays --- */

/* Appends the value at idx, merged into that part of the source, to c->text. */
static int append_merged(lua_State *L, struct ln_codec *c, struct ln_str src,
                         enum ln_json_type type, int idx) {
  size_t from = c->pending.len, off = c->text.len;
  bool unordered = c->unordered;
  int rc = merge_value(L, c, src, type, idx);
  c->unordered = unordered;
  if (rc == LN_OK) rc = ln_walk_lay_over(c, src, from, off);
  return rc == LN_ELIMIT ? ln_value_fault(c, "more than %zu bytes", c->max_bytes) : rc;
}

/* Appends the value on top, which was decoded from the source's s-th element. */
static int append_over(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t s) {
  struct ln_value_member m = *ln_walk_member(c, a->base, s); /* the buffer moves meanwhile */
  size_t steps = c->steps, extra = c->extra;
  if (m.used && !ln_walk_affords(c)) return ln_value_encode_append(L, c, lua_gettop(L), false);
  ln_walk_member(c, a->base, s)->used = true;
  int rc = append_merged(L, c, m.value, m.type, lua_gettop(L));
  if (m.used) ln_walk_charge(c, steps, extra);
  return rc;
}

static int append_element(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t k) {
  int rc = ln_value_enter(c, (struct ln_value_step){NULL, 0, k, 0});
  if (rc) return rc;
  size_t s = ln_align_source(L, c, a, k);
  lua_rawgeti(L, a->idx, (int)k);
  if (s < a->n)
    rc = append_over(L, c, a, s);
  else
    rc = ln_value_encode_append(L, c, lua_gettop(L), false);
  lua_pop(L, 1);
  if (rc == LN_OK) ln_value_leave(c);
  return rc;
}

/* Appends elements k..end of the table, each with a comma before or after it. */
static int append_elements(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t k,
                           size_t end, bool comma_before, bool comma_after) {
  int rc = LN_OK;
  for (; k <= end && rc == LN_OK; k++) {
    if (comma_before) rc = ln_buf_append(&c->text, ",", 1);
    comma_before = !comma_after;
    if (rc == LN_OK) rc = append_element(L, c, a, k);
    if (rc == LN_OK && comma_after) rc = ln_buf_append(&c->text, ",", 1);
  }
  return rc;
}

static int merge_element(lua_State *L, struct ln_codec *c, struct ln_value_member m,
                         const struct ln_align *a) {
  int rc = LN_OK;
  if (m.before) {
    size_t off = c->text.len;
    rc = append_elements(L, c, a, m.at - m.before, m.at - 1, false, true);
    if (rc == LN_OK) rc = ln_walk_edit(c, m.value.p, m.value.p, off);
  }
  if (rc || m.same) return rc;
  rc = ln_value_enter(c, (struct ln_value_step){NULL, 0, m.at, 0});
  if (rc) return rc;
  lua_rawgeti(L, a->idx, (int)m.at);
  rc = merge_value(L, c, m.value, m.type, lua_gettop(L));
  lua_pop(L, 1);
  if (rc == LN_OK) ln_value_leave(c);
  return rc;
}

static int read_elements(struct ln_codec *c, struct ln_str src, size_t *n) {
  struct ln_json_cur cur = ln_json_enter(src);
  struct ln_json_item item;
  for (*n = 0; ln_json_next(&cur, &item); (*n)++) {
    struct ln_value_member m = {.value = item.value, .type = item.type};
    int rc = ln_buf_append(&c->members, (const char *)&m, sizeof m);
    if (rc) return rc;
  }
  c->steps += *n + src.n / LN_VALUE_SKIP;
  return LN_OK;
}

static int merge_array(lua_State *L, struct ln_codec *c, struct ln_str src, int idx, size_t n) {
  struct ln_walk w = {.base = c->members.len};
  struct ln_align a = {.base = w.base, .idx = idx, .m = n, .compare = merge_value};
  size_t rest = n + 1;
  int rc = read_elements(c, src, &w.n);
  a.n = w.n;
  if (rc == LN_OK && c->comparing && w.n != n) rc = LN_EAGAIN;
  if (rc == LN_OK) {
    ln_align(L, c, &a, &rest);
    w.tail_off = c->text.len;
    rc = append_elements(L, c, &a, rest, n, w.n > 0, false);
    w.tail_len = c->text.len - w.tail_off;
  }
  for (size_t i = 0; i < w.n && rc == LN_OK;) {
    struct ln_value_member m = *ln_walk_member(c, w.base, i); /* the buffer moves meanwhile */
    if (m.drop) {
      rc = ln_walk_cut(c, &w, &i);
      continue;
    }
    rc = merge_element(L, c, m, &a);
    w.kept = m.value.p + m.value.n;
    i++;
  }
  if (rc == LN_OK) rc = ln_walk_tail(c, &w, src);
  c->members.len = w.base;
  return rc;
}

/* --- values --- */

/* cur is at item; behind it afterwards, unless this ends early. */
static int merge_item(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur,
                      const struct ln_json_item *item, int idx) {
  luaL_checkstack(L, 10, "nested too deeply");
  c->steps++;
  bool object = item->type == LN_JSON_OBJECT, array = item->type == LN_JSON_ARRAY;
  if (c->comparing && c->steps > c->steps_max) return LN_EAGAIN;
  if (!object && !array)
    return ln_scalar_same(L, c, item->value, item->type, idx) ? LN_OK
                                                              : replace(L, c, item->value, idx);
  if (!lua_istable(L, idx)) return replace(L, c, ln_json_whole(cur, item), idx);
  size_t n;
  enum ln_shape shape = ln_value_encode_shape(L, c, idx, &n);
  if (shape == LN_SHAPE_BAD) return LN_ESCRIPT;
  if (object && shape != LN_SHAPE_ARRAY) return merge_object(L, c, cur, item, idx, n);
  struct ln_str src = ln_json_whole(cur, item);
  c->steps += src.n / LN_VALUE_SKIP;
  return array && shape != LN_SHAPE_OBJECT ? merge_array(L, c, src, idx, n)
                                           : replace(L, c, src, idx);
}

static int merge_value(lua_State *L, struct ln_codec *c, struct ln_str src, enum ln_json_type type,
                       int idx) {
  struct ln_json_cur cur = {src.p, src.p + src.n};
  struct ln_json_item item = {LN_STR_NONE, src, type};
  if (type == LN_JSON_OBJECT || type == LN_JSON_ARRAY) cur.p++;
  return merge_item(L, c, &cur, &item, idx);
}

LN_THROWS int ln_value_merge(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                             struct ln_str source, const char *optional, struct ln_merge *out) {
  ln_value_begin(c, root);
  c->optional = optional;
  *out = (struct ln_merge){NULL, 0};
  if (idx < 0) idx = lua_gettop(L) + 1 + idx;
  source = ln_json_trim(source);
  c->extra_max = EXTRA_STEPS + EXTRA_STEPS_PER_BYTE * source.n;
  ln_origin_begin(c, source);
  int rc = merge_value(L, c, source, ln_json_type_of(source), idx);
  if (rc == LN_OK) rc = ln_walk_edits(c, &out->edits, &out->n);
  return ln_value_finish(c, rc);
}
