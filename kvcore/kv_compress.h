/* kv_compress.h - values stored compressed.
 *
 * Compressed before the shard's lock is taken, unpacked from a private copy
 * after the record was validated: no library ever sees bytes that another
 * process may be changing.  The record keeps the size unpacked; the method is
 * in its flags, so a store reads what it was given under another setting.
 */

#ifndef KV_COMPRESS_H
#define KV_COMPRESS_H

#include "kv_layout.h"

/** The handle's scratch buffer, grown to `bytes`; NULL: no memory. */
void *kv_scratch(kv_store_t *store, size_t bytes);

/** Is the method built in? */
bool kv_compress_available(kv_compression_t method);

/**
 * Pack `value` into the handle's scratch buffer by the store's method.
 *
 * @param packed  receives the buffer
 * @return the packed bytes; 0: not worth it (it saves less than an eighth),
 *         or no memory: store it plain
 */
size_t kv_compress(kv_store_t *store, const void *value, size_t value_len,
                   const void **packed);

/**
 * Unpack exactly value_len bytes.
 * @return KV_OK, KV_NO_MEMORY, KV_MISSING (broken: scribbled over)
 */
kv_result_t kv_decompress(kv_store_t *store, uint32_t method,
                          const void *packed, size_t packed_bytes,
                          void *value, size_t value_len);

#endif
