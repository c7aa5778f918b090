/* What every file stands on: fixed-width types, attributes, asserts and the string slice.
 *
 * LuaJIT's FFI reads these headers in the unit specs; it knows the C types itself and no
 * attribute, so with LN_FFI defined the system headers and the inline code stay out. */
#ifndef LN_BASE_BASE_H
#define LN_BASE_BASE_H

#ifndef LN_FFI
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LN_CHECK        __attribute__((warn_unused_result))
#define LN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LN_NORETURN     __attribute__((noreturn))
#define LN_LIKELY(x)    __builtin_expect(!!(x), 1)
#define LN_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#else
#define LN_CHECK
#define LN_PRINTF(f, a)
#define LN_NORETURN
#endif

/* A slice of bytes owned by someone else; not NUL-terminated. p == NULL means "absent",
 * which is not the same as empty. */
struct ln_str {
  const char *p;
  size_t n;
};

/* ASCII case-insensitive equality: for header names and schemes, never for MCP names. */
bool ln_str_ieq(struct ln_str a, struct ln_str b);
struct ln_str ln_str_trim(struct ln_str s); /* spaces and tabs off both ends */

/* Writes the digits of n, at most LN_DIGITS, and no NUL; returns how many. base: 10 or 16. For what
 * each message needs: printf takes twenty times as long. */
enum { LN_DIGITS = 20 };
size_t ln_digits(char *out, uint64_t n, unsigned base);

/* Zeroed, as calloc's, to be freed by free; NULL when out of memory. For what is made for each
 * message: calloc of glibc before 2.41 never looks into the thread's cache of freed blocks, which
 * fills up with them then, so that both it and free take the long way. */
void *ln_zalloc(size_t n);

void ln_fatal(const char *file, int line, const char *what) LN_NORETURN;

#ifndef LN_FFI
/* LN_ASSERT: an invariant whose break means memory can't be trusted; always on.
 * LN_DEBUG_ASSERT: the same on paths where the check costs; only in debug builds. */
#define LN_ASSERT(c) (LN_LIKELY(c) ? (void)0 : ln_fatal(__FILE__, __LINE__, #c))
#ifdef LN_DEBUG
#define LN_DEBUG_ASSERT(c) LN_ASSERT(c)
#else
#define LN_DEBUG_ASSERT(c) ((void)0)
#endif

#define LN_COUNT(a)                     (sizeof(a) / sizeof((a)[0]))
#define LN_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define LN_MIN(a, b)                    ((a) < (b) ? (a) : (b))
#define LN_MAX(a, b)                    ((a) > (b) ? (a) : (b))

#define LN_STR_LIT(s) ((struct ln_str){"" s, sizeof(s) - 1})
#define LN_STR_NONE   ((struct ln_str){NULL, 0})
/* For printf's "%.*s". */
#define LN_STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct ln_str ln_str_c(const char *s) {
  return (struct ln_str){s, s ? strlen(s) : 0};
}
static inline bool ln_str_eq(struct ln_str a, struct ln_str b) {
  return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool ln_str_is(struct ln_str a, const char *lit) {
  size_t n = strlen(lit);
  return a.n == n && a.p && memcmp(a.p, lit, n) == 0;
}
/* Of most texts the length says that they are others, and a literal's is known to the compiler. */
static inline bool ln_str_iis(struct ln_str a, const char *lit) {
  size_t n = strlen(lit);
  return a.n == n && a.p && ln_str_ieq(a, (struct ln_str){lit, n});
}
static inline bool ln_str_starts(struct ln_str a, const char *lit) {
  size_t n = strlen(lit);
  return a.n >= n && memcmp(a.p, lit, n) == 0;
}
#endif

#endif
