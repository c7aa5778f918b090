/* Copying what a policy declared out of Lua. */
#ifndef LN_SCRIPT_DECLS_READ_H
#define LN_SCRIPT_DECLS_READ_H

#include "script/policy_object_impl.h"

/* Reads "lunette.base.state"; below a protected call. */
LN_THROWS void ln_decls_read(struct lua_State *L, struct ln_policy *p);
void ln_decls_free(struct ln_policy *p);

#endif
