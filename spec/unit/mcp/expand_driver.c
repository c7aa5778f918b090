/* Gives src/mcp/expand.c its values, which LuaJIT's callbacks can't: they are structs. */
#include "mcp/expand.h"

/* "name\0value\0 … \0". */
static struct ln_str value_of(void *arg, struct ln_str name) {
  for (const char *at = arg; *at; at += strlen(at) + 1) {
    const char *value = at + strlen(at) + 1;
    if (ln_str_is(name, at)) return ln_str_c(value);
    at = value;
  }
  return LN_STR_NONE;
}

int expand_text(const char *uri_template, char *values, struct ln_buf *out) {
  return ln_expand(ln_str_c(uri_template), value_of, values, out);
}

int expand_glob(const char *uri_template, char *values, struct ln_buf *out) {
  return ln_expand_glob(ln_str_c(uri_template), value_of, values, out);
}
