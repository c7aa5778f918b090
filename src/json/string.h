/* What string.c shares with the rest of the room. */
#ifndef LN_JSON_STRING_H
#define LN_JSON_STRING_H

#include "base/base.h"

/* Writes raw unescaped to out, which has room for raw.n bytes (it never gets longer); returns
 * how many were written. Lone surrogates are kept apart from each other: they become the
 * three bytes that UTF-8 would give them if it could, so the result is for comparing only. */
size_t ln_json_flatten(struct ln_str raw, char *out);

/* Whether raw means plain, which holds no escapes. */
bool ln_json_means(struct ln_str raw, struct ln_str plain);

#endif
