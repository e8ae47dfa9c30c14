# Redis's protocol and commands over a store.

RESPT_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/kvcore \
	-I$(top_srcdir)/resp
RESPT_LIBS = resp/libresp.la kvcore/libkvcore.la

# A server for the tests beside it.
check_PROGRAMS += t/resp/resp_serve
t_resp_resp_serve_CPPFLAGS = $(RESPT_CPPFLAGS)
t_resp_resp_serve_LDADD = $(RESPT_LIBS)

RESPT_NAMES = t/resp/resp_random_test t/resp/resp_test
RESPT_TALKS = t/resp/differential.t t/resp/many.t t/resp/server.t
if HAVE_CHECK
check_PROGRAMS += $(RESPT_NAMES)
TESTS += $(RESPT_NAMES)
STORE_TESTS += $(RESPT_NAMES)
endif
dist_check_SCRIPTS += $(RESPT_TALKS) t/resp/clients.t
TESTS += $(RESPT_TALKS) t/resp/clients.t
STORE_TESTS += $(RESPT_TALKS)
EXTRA_DIST += t/resp/clients/check.php t/resp/clients/phpredis.php \
	t/resp/clients/predis.php t/resp/install t/resp/lib/Resp.pm

t_resp_resp_test_CPPFLAGS = $(RESPT_CPPFLAGS)
t_resp_resp_test_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
t_resp_resp_test_LDADD = $(RESPT_LIBS) $(CHECK_LIBS)
t_resp_resp_test_SOURCES = t/resp/resp_test.c t/resp/respt.h

t_resp_resp_random_test_CPPFLAGS = $(RESPT_CPPFLAGS)
t_resp_resp_random_test_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
t_resp_resp_random_test_LDADD = $(RESPT_LIBS) $(CHECK_LIBS)
t_resp_resp_random_test_SOURCES = t/resp/resp_random_test.c t/resp/respt.h
