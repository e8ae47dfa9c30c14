# Unit tests of the store: one program for each of its files, then one for
# each thing that takes several of them.

KVT_NAMES = \
	t/kvcore/kv_check_test \
	t/kvcore/kv_compress_test \
	t/kvcore/kv_concurrency_test \
	t/kvcore/kv_config_test \
	t/kvcore/kv_derive_test \
	t/kvcore/kv_evict_test \
	t/kvcore/kv_expiry_test \
	t/kvcore/kv_failmalloc_test \
	t/kvcore/kv_grow_test \
	t/kvcore/kv_index_test \
	t/kvcore/kv_items_test \
	t/kvcore/kv_large_test \
	t/kvcore/kv_layout_test \
	t/kvcore/kv_life_test \
	t/kvcore/kv_lock_test \
	t/kvcore/kv_many_test \
	t/kvcore/kv_memo_test \
	t/kvcore/kv_model_test \
	t/kvcore/kv_number_test \
	t/kvcore/kv_read_test \
	t/kvcore/kv_segment_test \
	t/kvcore/kv_store_test \
	t/kvcore/kv_wait_test \
	t/kvcore/kv_write_test

if HAVE_CHECK
check_PROGRAMS += $(KVT_NAMES)
TESTS += $(KVT_NAMES)
STORE_TESTS += $(KVT_NAMES)
check_LTLIBRARIES = t/kvcore/libkvt.la
endif

KVT_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/kvcore
KVT_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS) $(CHECK_CFLAGS)
KVT_LIBS = t/kvcore/libkvt.la kvcore/libkvcore.la $(CHECK_LIBS)
# In programs that contain kvt_clock.c.
KVT_CLOCK_LINK = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime

t_kvcore_libkvt_la_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_libkvt_la_CFLAGS = $(KVT_CFLAGS)
t_kvcore_libkvt_la_SOURCES = t/kvcore/kvt.c t/kvcore/kvt.h

t_kvcore_kv_check_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_check_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_check_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_compress_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_compress_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_compress_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_concurrency_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_concurrency_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_concurrency_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_config_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_config_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_config_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_derive_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_derive_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_derive_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_evict_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_evict_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_evict_test_LDFLAGS = $(KVT_CLOCK_LINK)
t_kvcore_kv_evict_test_SOURCES = t/kvcore/kv_evict_test.c t/kvcore/kvt_clock.c
t_kvcore_kv_evict_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_expiry_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_expiry_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_expiry_test_LDFLAGS = $(KVT_CLOCK_LINK)
t_kvcore_kv_expiry_test_SOURCES = t/kvcore/kv_expiry_test.c t/kvcore/kvt_clock.c
t_kvcore_kv_expiry_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_failmalloc_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_failmalloc_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_failmalloc_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
	-Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=posix_memalign
t_kvcore_kv_failmalloc_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_grow_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_grow_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_grow_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_index_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_index_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_index_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_items_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_items_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_items_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_large_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_large_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_large_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_layout_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_layout_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_layout_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_life_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_life_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_life_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_lock_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_lock_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_lock_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_many_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_many_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_many_test_LDFLAGS = $(KVT_CLOCK_LINK)
t_kvcore_kv_many_test_SOURCES = t/kvcore/kv_many_test.c t/kvcore/kvt_clock.c
t_kvcore_kv_many_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_memo_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_memo_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_memo_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_model_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_model_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_model_test_LDFLAGS = $(KVT_CLOCK_LINK)
t_kvcore_kv_model_test_SOURCES = t/kvcore/kv_model_test.c t/kvcore/kvt_clock.c
t_kvcore_kv_model_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_number_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_number_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_number_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_read_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_read_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_read_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_segment_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_segment_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_segment_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_store_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_store_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_store_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_wait_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_wait_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_wait_test_LDADD = $(KVT_LIBS)

t_kvcore_kv_write_test_CPPFLAGS = $(KVT_CPPFLAGS)
t_kvcore_kv_write_test_CFLAGS = $(KVT_CFLAGS)
t_kvcore_kv_write_test_LDADD = $(KVT_LIBS)
