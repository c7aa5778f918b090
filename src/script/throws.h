/* Marks C functions that may leave by a Lua error (longjmp): called only below a protected call
 * or a coroutine's resume, holding nothing that only C knows of. */
#ifndef LN_SCRIPT_THROWS_H
#define LN_SCRIPT_THROWS_H

#define LN_THROWS

#endif
