/* core: the running handler: its message, waiting, and its outcome. Functions that wait store in
 * the run what is wanted and yield; see script/run_impl.h. */
#include "bind/run.h"

#include "bind/bytes.h"
#include "bind/json.h"
#include "script/client_ref.h"
#include "script/value_decode.h"
#include "script/value_encode.h"
#include "script/value_merge.h"

enum { MAX_SLEEP_S = 86400 };

/* The running run; an error outside of handlers. */
static struct ln_run *check_run(lua_State *L) {
  struct ln_run *run = ln_bind_vm(L)->current.run;
  if (!run)
    ln_bind_error(L,
                  "this waits for an answer, which only a handler can do (not the policy while it "
                  "loads, nor a filter, rename or transform)");
  return run;
}

static void check_going(lua_State *L, const struct ln_run *run) {
  if (run->ended) ln_bind_error(L, "the handler has ended already");
}

LN_THROWS struct ln_run *ln_bind_run_check(lua_State *L) {
  struct ln_run *run = check_run(L);
  if (L != run->co)
    ln_bind_error(L,
                  "this waits for an answer, which a coroutine made by the handler can't do; call "
                  "it from the handler itself");
  check_going(L, run);
  return run;
}

/* The run, which the caller is about to end. */
static struct ln_run *check_ending(lua_State *L, bool with_reply) {
  struct ln_run *run = check_run(L);
  check_going(L, run);
  if (with_reply && !ln_run_is_request(run)) ln_bind_error(L, "nobody waits for an answer here");
  return run;
}

static struct ln_run *check_waiter(lua_State *L) {
  struct ln_run *run = ln_bind_run_check(L);
  ln_msg_unref(run->out);
  run->out = NULL;
  ln_bytes_unref(run->params);
  run->params = NULL;
  return run;
}

/* run() -> kind ("hook", "component", "timer", "transform"), index from 1, whether an answer is
 * expected */
static int l_run_run(lua_State *L) {
  static const char *const kinds[] = {"hook", "component", "timer", "transform"};
  struct ln_run *run = check_run(L);
  lua_pushstring(L, kinds[run->kind]);
  lua_pushinteger(L, (lua_Integer)run->index + 1);
  lua_pushboolean(L, ln_run_is_request(run));
  return 3;
}

/* message() -> method, params (always a table) */
static int l_run_message(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  struct ln_run *run = check_run(L);
  const struct ln_msg *m = run->msg;
  if (!m) return 0;
  lua_pushlstring(L, m->method.p, m->method.n);
  if (m->params.p)
    ln_value_decode(L, &vm->codec, m->params);
  else
    lua_newtable(L);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  return 2;
}

/* run_item() -> kind, definition (JSON) and name before any rule of what the message is about, or
 * nothing; only before the handler first waits */
static int l_run_item(lua_State *L) {
  const struct ln_hook_item *item = &check_run(L)->item;
  if (!item->json.p) return 0;
  lua_pushstring(L, ln_policy_kind_name(item->kind));
  lua_pushlstring(L, item->json.p, item->json.n);
  lua_pushlstring(L, item->name.p, item->name.n);
  return 3;
}

/* run_shown() -> what the client calls the component that runs; only before it first waits */
static int l_run_shown(lua_State *L) {
  const struct ln_run *run = check_run(L);
  lua_pushlstring(L, run->shown.p, run->shown.n);
  return 1;
}

/* exchange() -> the userdata that facts are asked with */
static int l_run_exchange(lua_State *L) {
  struct ln_run *run = check_run(L);
  ln_client_ref_push(L, (struct ln_client_ref){&run->serial, run->serial, run->x});
  return 1;
}

/* progress_params() -> params of a notification with the request's token, or nil. A number keeps
 * its digits in them; by itself it would be a double. */
static int l_run_progress_params(lua_State *L) {
  struct ln_run *run = check_run(L);
  if (!run->msg || !run->msg->progress_token.p) return 0;
  lua_pushliteral(L, "{\"progressToken\":");
  lua_pushlstring(L, run->msg->progress_token.p, run->msg->progress_token.n);
  lua_pushliteral(L, "}");
  lua_concat(L, 3);
  size_t n;
  const char *p = lua_tolstring(L, -1, &n);
  ln_value_decode(L, &ln_bind_vm(L)->codec, (struct ln_str){p, n});
  return 1;
}

/* The message with the params at idx; one reference. */
static struct ln_msg *edited(lua_State *L, struct ln_codec *c, struct ln_msg *m, int idx) {
  const char *optional = ln_str_is(m->method, "tools/call") ? "arguments" : NULL;
  struct ln_merge merge;
  struct ln_str source = m->params.p ? m->params : LN_STR_LIT("{}"), text;
  if (ln_value_merge(L, c, idx, "params", source, optional, &merge))
    ln_bind_error(L, "%s", c->fault);
  if (!merge.n) return ln_msg_ref(m);
  if (m->params.p) return ln_msg_edit(m, merge.edits, merge.n);
  if (ln_value_encode(L, c, idx, "params", &text)) ln_bind_error(L, "%s", c->fault);
  return ln_msg_with_params(m, text);
}

/* The second argument of a forward: its time limit in seconds; none: no limit. */
static uint64_t check_ms(lua_State *L) {
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  if (!(seconds >= 0 && seconds <= MAX_SLEEP_S)) ln_bind_error(L, "can't wait for %f s", seconds);
  return (uint64_t)(seconds * 1000 + 0.999);
}

/* forward([params[, seconds]]): yields; the answer is take()'s. */
static int l_run_forward(lua_State *L) {
  struct ln_run *run = check_waiter(L);
  if (run->kind != LN_RUN_HOOK && run->kind != LN_RUN_TRANSFORM)
    return ln_bind_error(L, "there is nothing to forward here");
  run->forward_ms = check_ms(L);
  run->left = 0;
  if (lua_isnoneornil(L, 1)) {
    run->out = ln_msg_ref(run->msg);
  } else {
    luaL_checktype(L, 1, LUA_TTABLE);
    run->out = edited(L, &ln_bind_vm(L)->codec, run->msg, 1);
  }
  if (!run->out) return ln_bind_error(L, "not enough memory");
  run->op = LN_OP_FORWARD;
  return lua_yield(L, 0);
}

/* chain() -> the transforms that the call goes through */
static int l_run_chain(lua_State *L) {
  struct ln_run *run = check_run(L);
  if (!run->transform) return ln_bind_error(L, "there is no transform here");
  lua_rawgeti(L, LUA_REGISTRYINDEX, run->transform->chain);
  return 1;
}

/* arguments() -> the call's arguments as JSON, or nil when there are none */
static int l_run_arguments(lua_State *L) {
  struct ln_run *run = check_run(L);
  if (!run->msg || !run->msg->arguments.p) return 0;
  lua_pushlstring(L, run->msg->arguments.p, run->msg->arguments.n);
  return 1;
}

/* The message with these arguments; one reference. NULL: out of memory. */
static struct ln_msg *with_arguments(struct ln_msg *m, struct ln_str text) {
  struct ln_buf member;
  if (m->arguments.p) return ln_msg_edit(m, &(struct ln_edit){m->arguments, text}, 1);
  /* The params of a call have at least a name before the comma. */
  struct ln_str end = {m->params.p + m->params.n - 1, 0};
  ln_buf_init(&member, SIZE_MAX / 2);
  ln_buf_append_c(&member, ",\"arguments\":");
  ln_buf_append_str(&member, text);
  struct ln_msg *out =
      ln_buf_error(&member) ? NULL : ln_msg_edit(m, &(struct ln_edit){end, ln_buf_str(&member)}, 1);
  ln_buf_deinit(&member);
  return out;
}

/* forward_arguments([text[, seconds[, left]]]): the call with these arguments (JSON; nil: as they
 * are), which has still to pass so many layers of the chain; yields */
static int l_run_forward_arguments(lua_State *L) {
  struct ln_run *run = check_waiter(L);
  if (run->kind != LN_RUN_TRANSFORM || !run->msg->params.p)
    return ln_bind_error(L, "there is nothing to forward here");
  run->forward_ms = check_ms(L);
  lua_Integer left = luaL_optinteger(L, 3, 0);
  run->left = left > 0 && (size_t)left < run->transform->layers ? (size_t)left : 0;
  bool same = lua_isnoneornil(L, 1) || ln_str_eq(run->msg->arguments, ln_bind_str(L, 1));
  struct ln_str text = same ? LN_STR_NONE : ln_bind_json_text(L, 1);
  if (!same && ln_json_type_of(text) != LN_JSON_OBJECT)
    return ln_bind_error(L, "arguments are a JSON object");
  run->out = same ? ln_msg_ref(run->msg) : with_arguments(run->msg, text);
  if (!run->out) return ln_bind_error(L, "not enough memory");
  run->op = LN_OP_FORWARD;
  return lua_yield(L, 0);
}

static int ask(lua_State *L, enum ln_run_op op) {
  struct ln_run *run = check_waiter(L);
  struct ln_codec *c = &ln_bind_vm(L)->codec;
  struct ln_str method = ln_bind_method(L, 1), text;
  if (method.n >= sizeof run->method)
    return ln_bind_error(L, "a method's name of %d bytes", (int)method.n);
  if (!run->x) return ln_bind_error(L, "there is no client here to ask for");
  memcpy(run->method, method.p, method.n + 1);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    if (ln_value_encode(L, c, 2, "params", &text)) return ln_bind_error(L, "%s", c->fault);
    run->params = ln_bytes_copy(text.p, text.n);
    if (!run->params) return ln_bind_error(L, "not enough memory");
  }
  run->op = op;
  return lua_yield(L, 0);
}

/* request(method[, params]): as the client would ask; yields */
static int l_run_request(lua_State *L) {
  return ask(L, LN_OP_REQUEST);
}

/* ask(method[, params]): asks the client; yields */
static int l_run_ask(lua_State *L) {
  return ask(L, LN_OP_ASK);
}

/* sleep(seconds): yields */
static int l_run_sleep(lua_State *L) {
  struct ln_run *run = check_waiter(L);
  lua_Number s = luaL_checknumber(L, 1);
  if (!(s >= 0 && s <= MAX_SLEEP_S)) return ln_bind_error(L, "can't sleep for %f s", s);
  run->sleep_ms = (uint64_t)(s * 1000 + 0.999);
  run->op = LN_OP_SLEEP;
  return lua_yield(L, 0);
}

/* follow(ref): waits for the end of another run, the one whose exchange() that is; yields, unless
 * it is over or this one itself */
static int l_run_follow(lua_State *L) {
  const struct ln_client_ref *ref = ln_client_ref_at(L, 1);
  if (!ref) return ln_bind_error(L, "not a ctx");
  struct ln_run *run = check_waiter(L);
  if (*ref->now != ref->then || ref->now == &run->serial) return 0;
  uintptr_t leader = (uintptr_t)ref->now - offsetof(struct ln_run, serial);
  ln_run_follow(run, (struct ln_run *)leader);
  return lua_yield(L, 0);
}

/* Keeps the reply that came: the result will be merged into it. */
static void keep_reply(struct ln_run *run) {
  ln_msg_unref(run->base);
  run->base = run->reply;
  run->reply = NULL;
}

/* take(forwarded) -> the result that arrived; raises the error that arrived, as a table. Nothing
 * when nothing did. forwarded: keep it for finish. */
static int l_run_take(lua_State *L) {
  struct ln_run *run = check_run(L);
  struct ln_codec *c = &ln_bind_vm(L)->codec;
  struct ln_msg *reply = run->reply;
  if (!reply) return 0;
  /* base holds it until the next answer, so that a throw below can't lose it */
  bool keep = lua_toboolean(L, 1);
  if (keep) keep_reply(run);
  bool failed = reply->kind == LN_MSG_ERROR;
  ln_value_decode(L, c, failed ? reply->error : reply->result);
  if (!keep) {
    ln_msg_unref(run->reply);
    run->reply = NULL;
  }
  if (!failed) return 1;
  if (lua_istable(L, -1)) {
    ln_bind_push_error_mt(L);
    lua_setmetatable(L, -2);
  }
  return lua_error(L);
}

/* Its address is the value of core.untouched. */
static const char untouched;

/* answer([own[, hints]]) -> as take(true), for a hook's forward. When the handler ends with `return
 * forward(…)`, its code never sees the result: then it is not decoded, and core.untouched is
 * returned in its place. Such a tail call is recognized by there being no frame between this
 * function's and the coroutine's first but the caller's, when it says that it has one: answer(1).
 * The same is returned for a result with none of the hints (as holds() has them) in its JSON: the
 * handler is not interested in it. */
static int l_run_answer(lua_State *L) {
  struct ln_run *run = check_run(L);
  lua_Debug frame;
  int own = (int)luaL_optinteger(L, 1, 0);
  bool result = run->reply && run->reply->kind == LN_MSG_RESULT;
  bool seen = !result || lua_getstack(L, 2 + own, &frame);
  if (seen && result && lua_isstring(L, 2))
    seen = ln_bind_holds(run->reply->result, ln_bind_str(L, 2));
  if (seen) {
    lua_settop(L, 0);
    lua_pushboolean(L, true);
    return l_run_take(L);
  }
  keep_reply(run);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&untouched);
  return 1;
}

/* untouched() -> the value in place of a result that was not decoded */
static int l_run_untouched(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&untouched);
  return 1;
}

/* finish(result): merged into the result of the last forward, if there is one */
static int l_run_finish(lua_State *L) {
  struct ln_run *run = check_ending(L, true);
  struct ln_codec *c = &ln_bind_vm(L)->codec;
  struct ln_msg *base = run->base, *reply;
  luaL_checktype(L, 1, LUA_TTABLE);
  if (base && base->kind == LN_MSG_RESULT && ln_json_type_of(base->result) == LN_JSON_OBJECT) {
    struct ln_merge m;
    if (ln_value_merge(L, c, 1, "result", base->result, NULL, &m))
      return ln_bind_error(L, "%s", c->fault);
    reply = m.n ? ln_msg_edit(base, m.edits, m.n) : ln_msg_ref(base);
  } else {
    struct ln_str text;
    if (ln_value_encode(L, c, 1, "result", &text)) return ln_bind_error(L, "%s", c->fault);
    reply = ln_msg_result(text);
  }
  if (!reply) return ln_bind_error(L, "not enough memory");
  ln_run_end(run, reply);
  return 0;
}

/* half_edited() -> the content that a tool's result had, and its structured content, both JSON,
 * when finish changed the former and left the latter; else nothing */
static int l_run_half_edited(lua_State *L) {
  const struct ln_run *run = check_run(L);
  const struct ln_msg *base = run->base, *final = run->final;
  struct ln_json_item was, is, half;
  if (!base || !final || base == final || !base->result.p || !final->result.p) return 0;
  if (!ln_json_get(base->result, "structuredContent", &was) ||
      !ln_json_get(final->result, "structuredContent", &is) || !ln_str_eq(was.value, is.value))
    return 0;
  half = was;
  if (!ln_json_get(base->result, "content", &was) || !ln_json_get(final->result, "content", &is) ||
      ln_str_eq(was.value, is.value))
    return 0;
  lua_pushlstring(L, was.value.p, was.value.n);
  lua_pushlstring(L, half.value.p, half.value.n);
  return 2;
}

/* finish_error(table): merged into the error of the last forward, if there is one */
static int l_run_finish_error(lua_State *L) {
  struct ln_run *run = check_ending(L, true);
  struct ln_codec *c = &ln_bind_vm(L)->codec;
  struct ln_msg *base = run->base, *reply;
  luaL_checktype(L, 1, LUA_TTABLE);
  if (base && base->kind == LN_MSG_ERROR) {
    struct ln_merge m;
    if (ln_value_merge(L, c, 1, "error", base->error, NULL, &m))
      return ln_bind_error(L, "%s", c->fault);
    reply = m.n ? ln_msg_edit(base, m.edits, m.n) : ln_msg_ref(base);
  } else {
    struct ln_str text;
    if (ln_value_encode(L, c, 1, "error", &text)) return ln_bind_error(L, "%s", c->fault);
    reply = ln_msg_error_raw(text);
  }
  if (!reply) return ln_bind_error(L, "not enough memory");
  ln_run_end(run, reply);
  return 0;
}

/* finish_reply(): ends with the reply to the last forward, unchanged; a notification without one */
static int l_run_finish_reply(lua_State *L) {
  struct ln_run *run = check_ending(L, false);
  bool request = ln_run_is_request(run);
  if (request && !run->base)
    return ln_bind_error(L, "nothing was forwarded that could be the answer");
  ln_run_end(run, request ? ln_msg_ref(run->base) : NULL);
  return 0;
}

/* refused() -> the text of the error that came, and true; or of the result, when it has isError.
 * Nothing when neither came. */
static int l_run_refused(lua_State *L) {
  struct ln_run *run = check_run(L);
  const struct ln_msg *m = run->reply ? run->reply : run->base;
  struct ln_json_item it;
  if (!m) return 0;
  bool failed = m->kind == LN_MSG_ERROR;
  if (!failed && !(ln_json_get(m->result, "isError", &it) && it.type == LN_JSON_TRUE)) return 0;
  struct ln_str text = failed ? m->error : m->result;
  lua_pushlstring(L, text.p, text.n);
  lua_pushboolean(L, failed);
  return 2;
}

/* keep(): keeps the reply that came for finish, without decoding it */
static int l_run_keep(lua_State *L) {
  struct ln_run *run = check_run(L);
  if (run->reply) keep_reply(run);
  return 0;
}

const luaL_Reg ln_bind_run[] = {{"run", l_run_run},
                                {"message", l_run_message},
                                {"run_item", l_run_item},
                                {"run_shown", l_run_shown},
                                {"exchange", l_run_exchange},
                                {"progress_params", l_run_progress_params},
                                {"forward", l_run_forward},
                                {"chain", l_run_chain},
                                {"arguments", l_run_arguments},
                                {"forward_arguments", l_run_forward_arguments},
                                {"request", l_run_request},
                                {"ask", l_run_ask},
                                {"sleep", l_run_sleep},
                                {"follow", l_run_follow},
                                {"take", l_run_take},
                                {"answer", l_run_answer},
                                {"untouched", l_run_untouched},
                                {"refused", l_run_refused},
                                {"keep", l_run_keep},
                                {"finish", l_run_finish},
                                {"finish_error", l_run_finish_error},
                                {"half_edited", l_run_half_edited},
                                {"finish_reply", l_run_finish_reply},
                                {NULL, NULL}};
