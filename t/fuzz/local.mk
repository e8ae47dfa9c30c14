# Stores that something has scribbled over.

check_PROGRAMS += t/fuzz/scribble_test
TESTS += t/fuzz/scribble_test
STORE_TESTS += t/fuzz/scribble_test
EXTRA_DIST += t/fuzz/scribble_fuzz.c t/fuzz/run

t_fuzz_scribble_test_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore
t_fuzz_scribble_test_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
t_fuzz_scribble_test_LDADD = kvcore/libkvcore.la
t_fuzz_scribble_test_SOURCES = \
	t/fuzz/scribble.c \
	t/fuzz/scribble.h \
	t/fuzz/scribble_test.c
