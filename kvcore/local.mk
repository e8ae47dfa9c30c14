# The store, a library that each thing we ship contains.

noinst_LTLIBRARIES += kvcore/libkvcore.la
kvcore_libkvcore_la_CPPFLAGS = $(AM_CPPFLAGS)
kvcore_libkvcore_la_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS) $(ZSTD_CFLAGS)
kvcore_libkvcore_la_LIBADD = $(ZSTD_LIBS)
kvcore_libkvcore_la_SOURCES = \
	kvcore/kv.h
