/* kv_compiler.h - words to the compiler. */

#ifndef KV_COMPILER_H
#define KV_COMPILER_H

/* On the path of every call: no call within the call. */
#define KV_INLINE inline __attribute__((always_inline))
/* The hash in line too; what is marked KV_NOINLINE stays out. */
#define KV_FLATTEN __attribute__((flatten))
/* Off that path: keep its registers out of it. */
#define KV_NOINLINE __attribute__((noinline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#endif
