# Runners: the job table, which needs neither PHP nor a server.

# One program for each topic; all but threads_test run under valgrind too.
RUNNER_NAMES = \
	t/runner/jobs_test \
	t/runner/ring_test \
	t/runner/states_test \
	t/runner/wake_test

if HAVE_CHECK
check_PROGRAMS += $(RUNNER_NAMES)
TESTS += $(RUNNER_NAMES)
STORE_TESTS += $(RUNNER_NAMES)
check_LTLIBRARIES += t/runner/librunt.la
endif

RUNNER_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/kvcore \
	-I$(top_srcdir)/php-embed -I$(top_srcdir)/t/kvcore
RUNNER_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
RUNNER_LIBS = t/runner/librunt.la t/kvcore/libkvt.la \
	php-embed/libephpm_jobs.la kvcore/libkvcore.la $(CHECK_LIBS)

t_runner_librunt_la_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_librunt_la_CFLAGS = $(RUNNER_CFLAGS)
t_runner_librunt_la_SOURCES = \
	t/runner/runt.c \
	t/runner/runt.h \
	t/runner/table.c \
	t/runner/table.h

t_runner_jobs_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_jobs_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_jobs_test_LDADD = $(RUNNER_LIBS)

t_runner_ring_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_ring_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_ring_test_LDADD = $(RUNNER_LIBS)

t_runner_states_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_states_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_states_test_LDADD = $(RUNNER_LIBS)

t_runner_wake_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_wake_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_wake_test_LDADD = $(RUNNER_LIBS)
