/* kv_compress.c - see kv_compress.h. */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "kv_compress.h"

#include <limits.h>
#ifdef HAVE_BROTLI
#include <setjmp.h>
#endif
#include <stddef.h>
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

#ifdef HAVE_BROTLI
/* Brotli's encoder, as it is usually built, ends the process when it gets no
 * memory (BrotliAllocate in its c/enc/memory.c).  So it gets its memory from
 * here, and none is a jump out of it; what it has taken until then is given
 * back by the list. */
typedef struct brotli_block {
    struct brotli_block *next;
    struct brotli_block **link;
    max_align_t bytes[];
} brotli_block_t;

typedef struct brotli_memory {
    brotli_block_t *blocks;
    jmp_buf out_of_memory;
} brotli_memory_t;

static void *brotli_alloc(void *opaque, size_t bytes)
{
    brotli_memory_t *memory = opaque;
    brotli_block_t *block = NULL;

    if (bytes <= SIZE_MAX - sizeof(*block)) {
        block = malloc(sizeof(*block) + bytes);
    }
    if (block == NULL) {
        longjmp(memory->out_of_memory, 1);
    }
    block->next = memory->blocks;
    block->link = &memory->blocks;
    if (block->next != NULL) {
        block->next->link = &block->next;
    }
    memory->blocks = block;
    return block->bytes;
}

static void brotli_free(void *opaque, void *bytes)
{
    (void)opaque;
    if (bytes != NULL) {
        brotli_block_t *block =
            (brotli_block_t *)(void *)((char *)bytes -
                                       offsetof(brotli_block_t, bytes));
        *block->link = block->next;
        if (block->next != NULL) {
            block->next->link = block->link;
        }
        free(block);
    }
}

/* Apart from brotli_pack(), as what setjmp's caller changes is lost. */
static size_t brotli_run(brotli_memory_t *memory, int level,
                         const void *value, size_t value_len,
                         unsigned char *to, size_t room)
{
    if (setjmp(memory->out_of_memory) != 0) {
        return 0;
    }
    BrotliEncoderState *state =
        BrotliEncoderCreateInstance(brotli_alloc, brotli_free, memory);
    const uint8_t *from = value;
    size_t bytes = 0;
    if (state == NULL) {
        return 0;
    }
    BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, (uint32_t)level);
    BrotliEncoderSetParameter(state, BROTLI_PARAM_SIZE_HINT,
                              value_len < UINT32_MAX ? (uint32_t)value_len
                                                     : UINT32_MAX);
    bool whole = BrotliEncoderCompressStream(state, BROTLI_OPERATION_FINISH,
                                             &value_len, &from, &room, &to,
                                             &bytes) &&
                 BrotliEncoderIsFinished(state);
    BrotliEncoderDestroyInstance(state);
    return whole ? bytes : 0;
}

static size_t brotli_pack(int level, const void *value, size_t value_len,
                          unsigned char *to, size_t room)
{
    brotli_memory_t memory = { .blocks = NULL };
    size_t bytes = brotli_run(&memory, level, value, value_len, to, room);

    while (memory.blocks != NULL) {
        brotli_free(&memory, memory.blocks->bytes);
    }
    return bytes;
}
#endif

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
    case KV_COMPRESS_BROTLI:
        /* Brotli's own default, 11, is for files that are packed once. */
        return brotli_pack(level == 0 ? 4 : level, value, value_len, to,
                           room);
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
