# Stores that something has scribbled over, and what a client may send.

FUZZ_TESTS = t/fuzz/requests_test t/fuzz/scribble_test
check_PROGRAMS += $(FUZZ_TESTS)
TESTS += $(FUZZ_TESTS)
STORE_TESTS += $(FUZZ_TESTS)
EXTRA_DIST += t/fuzz/requests.dict t/fuzz/requests_fuzz.c \
	t/fuzz/scribble_fuzz.c t/fuzz/run

t_fuzz_requests_test_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore -I$(top_srcdir)/resp
t_fuzz_requests_test_LDADD = resp/libresp.la kvcore/libkvcore.la
t_fuzz_requests_test_SOURCES = \
	t/fuzz/requests.c \
	t/fuzz/requests.h \
	t/fuzz/requests_test.c

t_fuzz_scribble_test_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore
t_fuzz_scribble_test_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
t_fuzz_scribble_test_LDADD = kvcore/libkvcore.la
t_fuzz_scribble_test_SOURCES = \
	t/fuzz/scribble.c \
	t/fuzz/scribble.h \
	t/fuzz/scribble_test.c
