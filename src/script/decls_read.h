/* Copies what a policy declared out of the Lua side's state. */
#ifndef LN_SCRIPT_DECLS_READ_H
#define LN_SCRIPT_DECLS_READ_H

#include "script/policy_object_impl.h"

/* Reads the Lua side's state; below a protected call. */
LN_THROWS void ln_policy_read_decls(struct lua_State *L, struct ln_policy *p);
void ln_policy_free_decls(struct ln_policy *p);

#endif
