/* kv_read.h - what the rest of kvcore wants of reading beside kv.h. */

#ifndef KV_READ_H
#define KV_READ_H

#include "kv_layout.h"

typedef struct kv_peek {
    uint64_t version;      /* of the key, or of its absence */
    int64_t deadline_ms;   /* 0: none */
    bool expired;          /* there, but past its deadline */
} kv_peek_t;

/**
 * As kv_read_begin(), for a valid key, with what a waiter has to know; does
 * not count as a use of the key.
 * @return KV_OK, KV_MISSING
 */
kv_result_t kv_read_peek(kv_store_t *store, const void *key, size_t key_len,
                         kv_read_t *read, kv_peek_t *peek);

/** Remove `key` if it has expired, so that its version grows. */
void kv_key_remove_expired(kv_store_t *store, const void *key,
                           size_t key_len);

#endif
