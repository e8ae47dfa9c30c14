# The store, a library that each thing we ship contains.

noinst_LTLIBRARIES += kvcore/libkvcore.la
kvcore_libkvcore_la_CPPFLAGS = $(AM_CPPFLAGS)
kvcore_libkvcore_la_CFLAGS = $(AM_CFLAGS) $(KVCORE_CFLAGS) $(XXHASH_CFLAGS) $(ZSTD_CFLAGS) \
	$(ZLIB_CFLAGS) $(BROTLI_CFLAGS)
kvcore_libkvcore_la_LIBADD = $(ZSTD_LIBS) $(ZLIB_LIBS) $(BROTLI_LIBS)
kvcore_libkvcore_la_SOURCES = \
	kvcore/kv.h \
	kvcore/kv_atomic.h \
	kvcore/kv_change.c \
	kvcore/kv_check.c \
	kvcore/kv_clock.h \
	kvcore/kv_compiler.h \
	kvcore/kv_compress.c \
	kvcore/kv_compress.h \
	kvcore/kv_config.c \
	kvcore/kv_derive.c \
	kvcore/kv_derive.h \
	kvcore/kv_evict.c \
	kvcore/kv_evict_chain.c \
	kvcore/kv_evict.h \
	kvcore/kv_futex.h \
	kvcore/kv_grow.c \
	kvcore/kv_grow.h \
	kvcore/kv_index.c \
	kvcore/kv_index.h \
	kvcore/kv_large.c \
	kvcore/kv_large.h \
	kvcore/kv_layout.c \
	kvcore/kv_layout.h \
	kvcore/kv_life.c \
	kvcore/kv_life.h \
	kvcore/kv_lock.c \
	kvcore/kv_lock.h \
	kvcore/kv_many.c \
	kvcore/kv_memo.h \
	kvcore/kv_number.h \
	kvcore/kv_read.c \
	kvcore/kv_read.h \
	kvcore/kv_record.h \
	kvcore/kv_segment.c \
	kvcore/kv_segment.h \
	kvcore/kv_store.c \
	kvcore/kv_wait.c \
	kvcore/kv_wait.h \
	kvcore/kv_write.c \
	kvcore/kv_write.h
