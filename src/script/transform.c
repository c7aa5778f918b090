/* See transform.h. */
#include "script/transform.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "script/policy_object_impl.h"

struct ln_transform *ln_transform_ref(struct ln_transform *t) {
  t->refs++;
  return t;
}

size_t ln_transform_layers(const struct ln_transform *t) {
  return t->layers;
}

void ln_transform_unref(struct ln_transform *t) {
  if (!t || --t->refs) return;
  luaL_unref(t->policy->vm->L, LUA_REGISTRYINDEX, t->chain);
  free(t->where);
  free(t);
}
