/* Globs over names; see glob.c. */
#ifndef LN_SCRIPT_GLOB_H
#define LN_SCRIPT_GLOB_H

#include "base/base.h"

/* '*' any run, '?' one character, '[a-z]' and '[!a-z]' sets, '\' escapes. Bytes; linear in
 * practice, never exponential.
 * Several globs, a line each, match what one of them does. */
bool ln_glob_match(const char *glob, struct ln_str s);

#endif
