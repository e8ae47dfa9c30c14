# Runners: the job table, which needs neither PHP nor a server.

# One program for each topic; all but threads_test run under valgrind too.
RUNNER_NAMES = \
	t/runner/deaths_test \
	t/runner/jobs_test \
	t/runner/ring_test \
	t/runner/scribble_test \
	t/runner/snapshot_test \
	t/runner/states_test \
	t/runner/threads_test \
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

t_runner_deaths_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_deaths_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_deaths_test_LDADD = $(RUNNER_LIBS)

t_runner_jobs_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_jobs_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_jobs_test_LDADD = $(RUNNER_LIBS)

t_runner_ring_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_ring_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_ring_test_LDADD = $(RUNNER_LIBS)

t_runner_scribble_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_scribble_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_scribble_test_LDADD = $(RUNNER_LIBS)

t_runner_snapshot_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_snapshot_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_snapshot_test_LDADD = $(RUNNER_LIBS)

t_runner_states_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_states_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_states_test_LDADD = $(RUNNER_LIBS)

t_runner_threads_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_threads_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_threads_test_LDADD = $(RUNNER_LIBS)

t_runner_wake_test_CPPFLAGS = $(RUNNER_CPPFLAGS)
t_runner_wake_test_CFLAGS = $(RUNNER_CFLAGS)
t_runner_wake_test_LDADD = $(RUNNER_LIBS)

# Killed at random, and at each instruction.
RUNNER_CRASH_NAMES = \
	t/runner/step \
	t/runner/storm
check_PROGRAMS += $(RUNNER_CRASH_NAMES)
TESTS += $(RUNNER_CRASH_NAMES)
# As with t/crash.
if !THREAD_SANITIZER
STORE_TESTS += t/runner/storm
endif

RUNNER_CRASH_CPPFLAGS = $(RUNNER_CPPFLAGS) -I$(top_srcdir)/t/crash
RUNNER_CRASH_LIBS = php-embed/libephpm_jobs.la kvcore/libkvcore.la

t_runner_step_CPPFLAGS = $(RUNNER_CRASH_CPPFLAGS)
t_runner_step_CFLAGS = $(AM_CFLAGS)
t_runner_step_LDADD = $(RUNNER_CRASH_LIBS)
t_runner_step_SOURCES = $(CRASH_RIG) \
	t/crash/step_trace.c \
	t/crash/step_trace.h \
	t/runner/runt.c \
	t/runner/runt.h \
	t/runner/step.c \
	t/runner/step.h \
	t/runner/step_cases.c

t_runner_storm_CPPFLAGS = $(RUNNER_CRASH_CPPFLAGS)
t_runner_storm_CFLAGS = $(AM_CFLAGS)
t_runner_storm_LDADD = $(RUNNER_CRASH_LIBS)
t_runner_storm_SOURCES = $(CRASH_RIG) \
	t/runner/runt.c \
	t/runner/runt.h \
	t/runner/storm.c

# Over real PHP: spawner, runners, and a submitter in the test.
POOL_TEST_NAMES = \
	t/runner/pool_life_test \
	t/runner/pool_script_test \
	t/runner/pool_spawner_test \
	t/runner/pool_test

if HAVE_APACHE
if HAVE_CHECK
check_PROGRAMS += $(POOL_TEST_NAMES)
TESTS += $(POOL_TEST_NAMES)
check_LTLIBRARIES += t/runner/libpool_host.la
endif
endif

POOL_TEST_CPPFLAGS = $(PHP_EMBED_CPPFLAGS) -I$(top_srcdir)/php-embed
POOL_TEST_CFLAGS = $(PHP_EMBED_CFLAGS) $(CHECK_CFLAGS)
# PHP's library by its SONAME, which is ambiguous on Debian: a link by that
# name to the right file, which only these programs find.
POOL_TEST_LIBPHP = t/runner/php/stamp
$(POOL_TEST_LIBPHP): Makefile
	$(AM_V_GEN)$(MKDIR_P) t/runner/php && \
	  name=`readelf -d '$(LIBPHP)' | $(SED) -n 's/.*SONAME.*\[\(.*\)\]/\1/p'` && \
	  rm -f "t/runner/php/$$name" && \
	  $(LN_S) '$(LIBPHP)' "t/runner/php/$$name" && \
	  : > $@
POOL_TEST_LINK = $(AM_LDFLAGS) \
	-Wl,-rpath,'$(abs_top_builddir)/t/runner/php'
POOL_TEST_LIBS = t/runner/libpool_host.la php-embed/libephpm_pool.la \
	php-embed/libephpm_jobs.la php-embed/libephpm_sapi.la \
	php-embed/libephpm_ext.la php-embed/libephpm_status.la \
	kvcore/libkvcore.la
clean-local: clean-pool-test
clean-pool-test:
	rm -rf t/runner/php
.PHONY: clean-pool-test

t_runner_libpool_host_la_CPPFLAGS = $(POOL_TEST_CPPFLAGS)
t_runner_libpool_host_la_CFLAGS = $(POOL_TEST_CFLAGS)
t_runner_libpool_host_la_SOURCES = t/runner/pool_host.c t/runner/pool_host.h

t_runner_pool_test_CPPFLAGS = $(POOL_TEST_CPPFLAGS)
t_runner_pool_test_CFLAGS = $(POOL_TEST_CFLAGS)
t_runner_pool_test_LDFLAGS = $(POOL_TEST_LINK)
t_runner_pool_test_LDADD = $(POOL_TEST_LIBS) $(CHECK_LIBS) $(LIBPHP)
t_runner_pool_test_DEPENDENCIES = $(POOL_TEST_LIBS) $(POOL_TEST_LIBPHP)

t_runner_pool_life_test_CPPFLAGS = $(POOL_TEST_CPPFLAGS)
t_runner_pool_life_test_CFLAGS = $(POOL_TEST_CFLAGS)
t_runner_pool_life_test_LDFLAGS = $(POOL_TEST_LINK)
t_runner_pool_life_test_LDADD = $(POOL_TEST_LIBS) $(CHECK_LIBS) $(LIBPHP)
t_runner_pool_life_test_DEPENDENCIES = $(POOL_TEST_LIBS) $(POOL_TEST_LIBPHP)

t_runner_pool_script_test_CPPFLAGS = $(POOL_TEST_CPPFLAGS)
t_runner_pool_script_test_CFLAGS = $(POOL_TEST_CFLAGS)
t_runner_pool_script_test_LDFLAGS = $(POOL_TEST_LINK)
t_runner_pool_script_test_LDADD = $(POOL_TEST_LIBS) $(CHECK_LIBS) $(LIBPHP)
t_runner_pool_script_test_DEPENDENCIES = $(POOL_TEST_LIBS) $(POOL_TEST_LIBPHP)

t_runner_pool_spawner_test_CPPFLAGS = $(POOL_TEST_CPPFLAGS)
t_runner_pool_spawner_test_CFLAGS = $(POOL_TEST_CFLAGS)
t_runner_pool_spawner_test_LDFLAGS = $(POOL_TEST_LINK)
t_runner_pool_spawner_test_LDADD = $(POOL_TEST_LIBS) $(CHECK_LIBS) $(LIBPHP)
t_runner_pool_spawner_test_DEPENDENCIES = $(POOL_TEST_LIBS) $(POOL_TEST_LIBPHP)
