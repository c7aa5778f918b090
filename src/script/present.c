/* Applying the rules of a kind to items. The rules are in Lua (lunette/rules/), which gets the
 * items' names; an item's JSON is decoded only for a rule that reads it, and what a rule edited is
 * merged into the server's own definition. */
#include "script/present.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "script/client_ref.h"
#include "script/policy_object_impl.h"
#include "script/transform.h"
#include "script/value_merge.h"

struct present {
  struct ln_policy *policy;
  enum ln_kind kind;
  struct ln_exchange *x;
  unsigned how;
  struct ln_reads *reads;
  size_t unsent; /* items that can't be made into JSON after the rules */
};

static void clear(struct ln_present_item *item) {
  item->hidden = false;
  item->new_name = item->new_json = item->why = item->failed = NULL;
  item->transform = NULL;
  item->old = NULL;
  item->n_old = 0;
}

void ln_reads_deinit(struct ln_reads *r) {
  ln_bytes_unref(r->names);
  *r = (struct ln_reads){0};
}

void ln_present_item_deinit(struct ln_present_item *item) {
  ln_bytes_unref(item->new_name);
  ln_bytes_unref(item->new_json);
  ln_bytes_unref(item->why);
  ln_bytes_unref(item->failed);
  ln_transform_unref(item->transform);
  for (size_t i = 0; i < item->n_old; i++) ln_bytes_unref(item->old[i].name);
  free(item->old);
  clear(item);
}

static void set_str(lua_State *L, const char *name, struct ln_str s) {
  if (!s.p) return;
  lua_pushlstring(L, s.p, s.n);
  lua_setfield(L, -2, name);
}

static void push_items(lua_State *L, const struct ln_policy *p) {
  lua_createtable(L, (int)p->n_items, 0);
  for (size_t i = 0; i < p->n_items; i++) {
    const struct ln_present_item *item = &p->items[i];
    lua_createtable(L, 0, 4);
    set_str(L, "name", item->name);
    set_str(L, "upstream", ln_str_c(item->server));
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_setfield(L, -2, "index");
    lua_rawseti(L, -2, (int)i + 1);
  }
}

/* The string on top, popped, as a block. */
static struct ln_bytes *take(lua_State *L) {
  size_t n;
  const char *s = lua_tolstring(L, -1, &n);
  struct ln_bytes *b = ln_bytes_copy(s, n);
  lua_pop(L, 1);
  return b;
}

/* A string field of the table on top as a block, or NULL when absent. */
static struct ln_bytes *take_bytes(lua_State *L, const char *name) {
  struct ln_bytes *b = NULL;
  lua_getfield(L, -1, name);
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    b = ln_bytes_copy(s, n);
  }
  lua_pop(L, 1);
  return b;
}

/* old = { {until, name}… } */
static void take_old(lua_State *L, struct ln_present_item *item) {
  lua_getfield(L, -1, "old");
  size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  if (n) item->old = calloc(n, sizeof *item->old);
  for (size_t i = 0; item->old && i < n; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    lua_rawgeti(L, -1, 1);
    item->old[i].until = (unsigned)lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_rawgeti(L, -1, 2);
    size_t len;
    const char *s = lua_tolstring(L, -1, &len);
    item->old[i].name = s ? ln_bytes_copy(s, len) : NULL;
    if (item->old[i].name) item->n_old = i + 1;
    lua_pop(L, 2);
    if (item->n_old != i + 1) break;
  }
  lua_pop(L, 1);
}

static struct ln_bytes *spliced(struct ln_str source, const struct ln_merge *m) {
  struct ln_buf out;
  ln_buf_init(&out, SIZE_MAX / 2);
  const char *at = source.p;
  for (size_t i = 0; i < m->n; i++) {
    ln_buf_append(&out, at, (size_t)(m->edits[i].at.p - at));
    ln_buf_append_str(&out, m->edits[i].with);
    at = m->edits[i].at.p + m->edits[i].at.n;
  }
  ln_buf_append(&out, at, (size_t)(source.p + source.n - at));
  return ln_buf_finish(&out);
}

static void take_transform(lua_State *L, struct ln_policy *p, struct ln_present_item *item) {
  lua_getfield(L, -1, "chain");
  if (lua_istable(L, -1)) {
    item->transform = malloc(sizeof *item->transform);
    if (!item->transform) {
      luaL_error(L, "not enough memory");
      return; /* not reached */
    }
    *item->transform = (struct ln_transform){1, p, LUA_NOREF, lua_objlen(L, -1), NULL};
    lua_rawgeti(L, -1, (int)item->transform->layers);
    lua_getfield(L, -1, "rule");
    lua_getfield(L, -1, "where");
    item->transform->where = strdup(lua_tostring(L, -1));
    lua_pop(L, 3);
    lua_pushvalue(L, -1);
    item->transform->chain = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_pop(L, 1);
}

/* Adds a line to `why`, if there is one. */
static void add_why(lua_State *L, struct ln_present_item *item, const char *text) {
  if (!item->why) return;
  lua_pushlstring(L, item->why->data, item->why->len);
  lua_pushfstring(L, "%s\n", text);
  lua_concat(L, 2);
  ln_bytes_unref(item->why);
  item->why = take(L);
}

/* The item on top can't be made into JSON: hides it. Only the first of a list is logged. */
static void withhold(lua_State *L, struct present *job, struct ln_present_item *item) {
  const char *fault = job->policy->vm->codec.fault;
  item->hidden = true;
  lua_getfield(L, -1, "by");
  const char *by = lua_isstring(L, -1) ? lua_tostring(L, -1) : "?";
  lua_pushfstring(L, "%s can't be sent: %s", by, fault);
  add_why(L, item, lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_pushfstring(L, "%s: ", by);
  lua_pushlstring(L, item->name.p, item->name.n);
  lua_pushfstring(L, " can't be presented and is withheld: %s", fault);
  lua_concat(L, 3);
  if (!job->unsent++) LN_LOG(job->policy->host.log, ERROR, "policy", "%s", lua_tostring(L, -1));
  item->failed = ln_bytes_copy(lua_tostring(L, -1), lua_objlen(L, -1));
  lua_pop(L, 2);
}

/* The definition after the rules, if one edited it: `text` if its bytes were edited, merged with
 * `value` if its table was. An item that can't be made into JSON is hidden, since without the edit
 * it would not be what the policy says. */
static void take_value(lua_State *L, struct present *job, struct ln_present_item *item) {
  struct ln_merge m = {NULL, 0};
  struct ln_str json = ln_json_trim(item->json);
  lua_getfield(L, -1, "text");
  bool edited = false;
  if (lua_type(L, -1) == LUA_TSTRING) {
    struct ln_str text;
    text.p = lua_tolstring(L, -1, &text.n);
    edited = !ln_str_eq(text, json);
    json = text;
  }
  lua_getfield(L, -2, "value");
  if (lua_istable(L, -1)) {
    int rc = ln_value_merge(L, &job->policy->vm->codec, -1, "item", json, NULL, &m);
    if (rc) {
      lua_pushvalue(L, -3);
      withhold(L, job, item);
      lua_pop(L, 1);
    }
  }
  if (!item->hidden && (edited || m.n)) {
    item->new_json = spliced(json, &m);
    if (!item->new_json) luaL_error(L, "not enough memory");
  }
  lua_pop(L, 2);
}

static void take_item(lua_State *L, struct present *job, struct ln_present_item *item) {
  lua_getfield(L, -1, "hidden");
  item->hidden = lua_toboolean(L, -1);
  lua_pop(L, 1);
  item->why = take_bytes(L, "why");
  item->failed = take_bytes(L, "failed");
  item->new_name = take_bytes(L, "new_name");
  take_old(L, item);
  if (!item->hidden) take_value(L, job, item);
  if (!item->hidden) take_transform(L, job->policy, item);
}

/* What the Lua side says was read, popped. */
static void take_reads(lua_State *L, struct ln_reads *reads) {
  reads->all = lua_type(L, -1) == LUA_TBOOLEAN;
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    return;
  }
  reads->names = take(L);
  if (!reads->names) luaL_error(L, "not enough memory");
}

static void job_present(lua_State *L, void *arg) {
  struct present *job = arg;
  struct ln_policy *p = job->policy;
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->entries[LN_ENTRY_PRESENT]);
  lua_pushstring(L, ln_policy_kind_name(job->kind));
  push_items(L, p);
  lua_pushvalue(L, -1);
  lua_insert(L, -4); /* the items stay below the call */
  ln_client_ref_push(L, (struct ln_client_ref){&p->presented, p->presented, job->x});
  lua_pushboolean(L, (job->how & LN_PRESENT_EXPLAIN) != 0);
  lua_pushboolean(L, (job->how & LN_PRESENT_COMPLETE) != 0);
  lua_pushboolean(L, (job->how & LN_PRESENT_TRIAL) != 0);
  lua_call(L, 6, 1);
  take_reads(L, job->reads);
  for (size_t i = 0; i < p->n_items; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    take_item(L, job, &p->items[i]);
    lua_pop(L, 1);
  }
  if (job->unsent > 1)
    LN_LOG(p->host.log, ERROR, "policy",
           "%zu more of the %s can't be presented for such an error; `lunette list --explain` "
           "shows which",
           job->unsent - 1, ln_policy_kind_name(job->kind));
}

int ln_present(struct ln_policy *p, enum ln_kind kind, struct ln_present_item *items, size_t n,
               struct ln_exchange *x, unsigned how, struct ln_reads *reads) {
  *reads = (struct ln_reads){0};
  for (size_t i = 0; i < n; i++) {
    clear(&items[i]);
  }
  if (!p->watched[kind]) return LN_OK;
  if (p->items) return LN_EBUSY; /* a rule asked for a list while one is made */
  struct present job = {p, kind, x, how, reads, 0};
  char *why;
  p->items = items;
  p->n_items = n;
  struct ln_guard_mark mark = ln_guard_enter(&p->vm->guard, ln_policy_limit(p), ln_policy_limit(p));
  int rc = ln_vm_call(p->vm, job_present, &job, &why);
  ln_guard_leave(&p->vm->guard, p->vm->L, mark);
  ln_vm_tidy(p->vm);
  p->presented++;
  p->items = NULL;
  p->n_items = 0;
  if (rc) {
    LN_LOG(p->host.log, ERROR, "policy", "the list of %s: %s", ln_policy_kind_name(kind),
           why ? why : "");
    for (size_t i = 0; i < n; i++) ln_present_item_deinit(&items[i]);
    ln_reads_deinit(reads);
  }
  free(why);
  return rc;
}

static void job_unmatched(lua_State *L, void *arg) {
  struct ln_policy *p = arg;
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->entries[LN_ENTRY_UNMATCHED]);
  lua_call(L, 0, 1);
  p->unmatched = take(L);
}

struct ln_bytes *ln_present_unmatched(struct ln_policy *p) {
  p->unmatched = NULL;
  if (ln_vm_call(p->vm, job_unmatched, p, NULL)) return NULL;
  return p->unmatched;
}

/* A question about a name that no list has. */
struct question {
  struct ln_policy *policy;
  enum ln_policy_entry entry;
  enum ln_kind kind;
  struct ln_str name;
  bool yes;
};

static void job_question(lua_State *L, void *arg) {
  struct question *job = arg;
  lua_rawgeti(L, LUA_REGISTRYINDEX, job->policy->entries[job->entry]);
  lua_pushstring(L, ln_policy_kind_name(job->kind));
  lua_pushlstring(L, job->name.p, job->name.n);
  lua_call(L, 2, 1);
  job->yes = lua_toboolean(L, -1);
}

/* When the rules fail, the answer is yes. */
static bool ask(const struct ln_policy *p, enum ln_policy_entry entry, enum ln_kind kind,
                struct ln_str name) {
  if (!p->has_rules[kind]) return false;
  struct question job = {(struct ln_policy *)(uintptr_t)p, entry, kind, name, true};
  return ln_vm_call(p->vm, job_question, &job, NULL) || job.yes;
}

bool ln_present_may_hide(const struct ln_policy *p, enum ln_kind kind, struct ln_str name) {
  return ask(p, LN_ENTRY_MAY_HIDE, kind, name);
}

bool ln_present_hides(const struct ln_policy *p, enum ln_kind kind, struct ln_str name) {
  return ask(p, LN_ENTRY_HIDES, kind, name);
}

bool ln_present_hides_all(const struct ln_policy *p, enum ln_kind kind, struct ln_str glob) {
  return ask(p, LN_ENTRY_HIDES_ALL, kind, glob);
}

bool ln_present_may_rename(const struct ln_policy *p, enum ln_kind kind, struct ln_str name) {
  return ask(p, LN_ENTRY_MAY_RENAME, kind, name);
}
