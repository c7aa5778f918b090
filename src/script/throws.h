/* Marks C functions that may raise a Lua error (longjmp): to be called only below a protected call
 * or a coroutine's resume, and without memory or references that only a C local holds. */
#ifndef LN_SCRIPT_THROWS_H
#define LN_SCRIPT_THROWS_H

#define LN_THROWS

#endif
