/* The userdata in a ctx that refers to its exchange, and so to its client. */
#ifndef LN_SCRIPT_CLIENT_REF_H
#define LN_SCRIPT_CLIENT_REF_H

#include "base/base.h"
#include "script/throws.h"

struct ln_exchange;
struct lua_State;

/* Valid while *now == then, that is, until the request has ended. x NULL: no client's. */
struct ln_client_ref {
  const uint64_t *now;
  uint64_t then;
  struct ln_exchange *x;
};
/* Pushes a copy as a userdata. */
LN_THROWS void ln_client_ref_push(struct lua_State *L, struct ln_client_ref ref);
/* The one at idx; NULL when that is something else. */
LN_THROWS const struct ln_client_ref *ln_client_ref_at(struct lua_State *L, int idx);

#endif
