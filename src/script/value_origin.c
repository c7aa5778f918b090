/* From which place in a text a table was decoded, so that an element that a policy moves within its
 * array keeps its bytes, and an empty object is not taken for an empty array; see value.h.
 *
 * Objects and arrays that are elements, and empty objects, have a number in a weak table: a hash of
 * the whole text (the mark), the place in it, and as the sign whether it was an object. Members
 * need none, as they are found by name. The hash is of the text's bytes, since another text may get
 * the same address. Two equal hashes do no harm: the table is merged into whatever is at the place,
 * which gives a right result for any value. */
#include <lua.h>
#include <math.h>

#include "script/value_origin.h"

/* 20 bits of mark and 32 of place are exact in a double. */
#define PLACES 4294967296.0
enum { MARK_BITS = 20 };

void ln_origin_begin(struct ln_codec *c, struct ln_str whole) {
  c->whole = whole;
  c->marked = false;
}

static double mark_of(struct ln_codec *c) {
  if (c->marked) return c->mark;
  uint64_t h = c->whole.n;
  const char *p = c->whole.p, *end = p + c->whole.n;
  for (; end - p >= 8; p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  for (; p < end; p++) h = (h ^ (unsigned char)*p) * 0x9e3779b97f4a7c15u;
  c->marked = true;
  c->mark = (double)(h >> (64 - MARK_BITS)) * PLACES;
  return c->mark;
}

LN_THROWS void ln_origin_note(struct lua_State *L, struct ln_codec *c, const char *at,
                              bool object) {
  size_t place = (size_t)(at - c->whole.p) + 1; /* from 1: 0 has no sign */
  if ((double)place >= PLACES) return;
  double origin = mark_of(c) + (double)place;
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->origins);
  lua_pushvalue(L, -2);
  lua_pushnumber(L, object ? -origin : origin);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* 0: none */
static double origin_of(lua_State *L, const struct ln_codec *c, int idx) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->origins);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  double origin = lua_tonumber(L, -1);
  lua_pop(L, 2);
  return origin;
}

LN_THROWS bool ln_origin_is_object(struct lua_State *L, const struct ln_codec *c, int idx) {
  return origin_of(L, c, idx) < 0;
}

LN_THROWS const char *ln_origin_in_whole(struct lua_State *L, struct ln_codec *c, int idx) {
  double place = fabs(origin_of(L, c, idx));
  if (place == 0) return NULL;
  place -= mark_of(c);
  return place >= 1 && place <= (double)c->whole.n ? c->whole.p + (size_t)place - 1 : NULL;
}
