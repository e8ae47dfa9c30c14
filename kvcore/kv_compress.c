/* kv_compress.c - see kv_compress.h. */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "kv_compress.h"

#include <limits.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_BROTLI
#include <brotli/decode.h>
#include <brotli/encode.h>
#endif

/* Never compressed, so that an integer stays one for kv_counter_add(). */
#define COMPRESS_MIN_BYTES 32u
/* Buffers larger than this are given back to the system after use. */
#define SCRATCH_KEPT_BYTES (1u << 20)

void *kv_scratch(kv_store_t *store, size_t bytes)
{
    bool fits = bytes <= store->scratch_bytes;
    bool hoards = store->scratch_bytes > SCRATCH_KEPT_BYTES &&
                  bytes <= SCRATCH_KEPT_BYTES;

    if (fits && !hoards) {
        return store->scratch;
    }
    free(store->scratch);
    store->scratch = malloc(bytes + 1);
    store->scratch_bytes = store->scratch == NULL ? 0 : bytes;
    return store->scratch;
}

bool kv_compress_available(kv_compression_t method)
{
    switch (method) {
    case KV_COMPRESS_NONE:
    case KV_COMPRESS_ZSTD:
        return true;
    case KV_COMPRESS_GZIP:
#ifdef HAVE_ZLIB
        return true;
#else
        return false;
#endif
    case KV_COMPRESS_BROTLI:
#ifdef HAVE_BROTLI
        return true;
#else
        return false;
#endif
    }
    return false;
}

size_t kv_compress(kv_store_t *store, const void *value, size_t value_len,
                   const void **packed)
{
    int level = store->config.compression_level;
    size_t room = value_len - value_len / 8;
    unsigned char *to;

    if (store->config.compression == KV_COMPRESS_NONE ||
        value_len < store->config.min_compress_bytes ||
        value_len < COMPRESS_MIN_BYTES) {
        return 0;
    }
    to = kv_scratch(store, room);
    if (to == NULL) {
        return 0;
    }
    *packed = to;
    switch (store->config.compression) {
    case KV_COMPRESS_ZSTD: {
        size_t bytes = ZSTD_compress(to, room, value, value_len, level);
        return ZSTD_isError(bytes) ? 0 : bytes;
    }
#ifdef HAVE_ZLIB
    case KV_COMPRESS_GZIP: {
        z_stream stream = { 0 };
        /* 15 + 16: the largest window, with gzip's own header. */
        if (value_len > UINT_MAX ||
            deflateInit2(&stream, level == 0 ? Z_DEFAULT_COMPRESSION : level,
                         Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
                Z_OK) {
            return 0;
        }
        stream.next_in = (unsigned char *)(uintptr_t)value;
        stream.avail_in = (unsigned)value_len;
        stream.next_out = to;
        stream.avail_out = (unsigned)room;
        int rc = deflate(&stream, Z_FINISH);
        size_t bytes = rc == Z_STREAM_END ? stream.total_out : 0;
        deflateEnd(&stream);
        return bytes;
    }
#endif
#ifdef HAVE_BROTLI
    case KV_COMPRESS_BROTLI: {
        size_t bytes = room;
        /* Brotli's own default, 11, is for files that are packed once. */
        return BrotliEncoderCompress(level == 0 ? 4 : level,
                                     BROTLI_DEFAULT_WINDOW,
                                     BROTLI_MODE_GENERIC, value_len, value,
                                     &bytes, to) ? bytes : 0;
    }
#endif
    default:
        return 0;
    }
}

kv_result_t kv_decompress(kv_store_t *store, uint32_t method,
                          const void *packed, size_t packed_bytes,
                          void *value, size_t value_len)
{
    (void)store;
    switch (method) {
    case KV_COMPRESS_ZSTD: {
        size_t bytes =
            ZSTD_decompress(value, value_len, packed, packed_bytes);
        if (ZSTD_isError(bytes) &&
            ZSTD_getErrorCode(bytes) == ZSTD_error_memory_allocation) {
            return KV_NO_MEMORY;
        }
        return bytes == value_len ? KV_OK : KV_MISSING;
    }
#ifdef HAVE_ZLIB
    case KV_COMPRESS_GZIP: {
        z_stream stream = { 0 };
        if (inflateInit2(&stream, 15 + 16) != Z_OK) {
            return KV_NO_MEMORY;
        }
        stream.next_in = (unsigned char *)(uintptr_t)packed;
        stream.avail_in = (unsigned)packed_bytes;
        stream.next_out = value;
        stream.avail_out = (unsigned)value_len;
        int rc = inflate(&stream, Z_FINISH);
        bool whole = rc == Z_STREAM_END && stream.total_out == value_len;
        inflateEnd(&stream);
        return whole ? KV_OK : rc == Z_MEM_ERROR ? KV_NO_MEMORY : KV_MISSING;
    }
#endif
#ifdef HAVE_BROTLI
    case KV_COMPRESS_BROTLI: {
        BrotliDecoderState *state =
            BrotliDecoderCreateInstance(NULL, NULL, NULL);
        const uint8_t *from = packed;
        uint8_t *to = value;
        if (state == NULL) {
            return KV_NO_MEMORY;
        }
        bool whole = BrotliDecoderDecompressStream(
                         state, &packed_bytes, &from, &value_len, &to,
                         NULL) == BROTLI_DECODER_RESULT_SUCCESS &&
                     value_len == 0;
        BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(state);
        BrotliDecoderDestroyInstance(state);
        return whole ? KV_OK
               : code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                       code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
                   ? KV_NO_MEMORY : KV_MISSING;
    }
#endif
    default:
        return KV_MISSING;
    }
}
