# What every test gets, and the tests of the tree as a whole.

TEST_EXTENSIONS = .t
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
T_LOG_DRIVER = $(TAP_DRIVER)

# One that waits for ever is ended, and says where.  TEST_UNDER: a command
# that is put before a test's own.
LOG_COMPILER = $(top_srcdir)/t/lib/watched $(TEST_UNDER)
T_LOG_COMPILER = $(top_srcdir)/t/lib/watched

# libcheck writes TAP when it is told a file for it; a unit test runs with
# srunner_run_all(runner, CK_ENV).
AM_TESTS_ENVIRONMENT = \
	CK_TAP_LOG_FILE_NAME=-; CK_VERBOSITY=silent; \
	export CK_TAP_LOG_FILE_NAME CK_VERBOSITY; \
	EPHPM_SRCDIR='$(abs_top_srcdir)'; EPHPM_BUILDDIR='$(abs_top_builddir)'; \
	export EPHPM_SRCDIR EPHPM_BUILDDIR; \
	PHP='$(PHP)'; HTTPD='$(HTTPD)'; \
	HTTPD_MODULES_DIR='$(HTTPD_MODULES_DIR)'; APXS='$(APXS)'; \
	export PHP HTTPD HTTPD_MODULES_DIR APXS; \
	CC='$(CC)'; PHP_CPPFLAGS='$(PHP_CPPFLAGS)'; \
	NGINX_PROGRAM='$(NGINX)'; NGINX_VERSION='$(NGINX_VERSION)'; \
	NGINX_CPPFLAGS='$(NGINX_CPPFLAGS)'; \
	export NGINX_PROGRAM NGINX_VERSION NGINX_CPPFLAGS; \
	HTTPD_CPPFLAGS='$(HTTPD_CPPFLAGS)'; LIBPHP='$(LIBPHP)'; \
	LIBPHP_NEEDED='$(LIBPHP_NEEDED)'; \
	export CC PHP_CPPFLAGS HTTPD_CPPFLAGS LIBPHP LIBPHP_NEEDED;

# The tests that need the store alone: what to run in a build with sanitizers.
STORE_TESTS =
check-store: $(check_PROGRAMS)
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(STORE_TESTS)'

# The store's unit tests under valgrind's memcheck, which runs one thread at a
# time and allocates by itself.  An error ends the test's process with 99.
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --vgdb=no
check-valgrind: $(check_PROGRAMS)
	$(AM_V_at)tests=; \
	for test in $(KVT_NAMES) $(RESPT_NAMES) $(RUNNER_NAMES); do \
	  case $$test in \
	  */kv_concurrency_test | */kv_failmalloc_test | */threads_test) ;; \
	  *) tests="$$tests $$test" ;; \
	  esac; \
	done; \
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS="$$tests" \
	  TEST_UNDER='$(VALGRIND)'
.PHONY: check-store check-valgrind

EXTRA_DIST += t/lib/Ports.pm t/lib/Watch.pm t/lib/watched

TREE_TESTS = t/dist.t t/docs.t t/install.t t/layering.t t/symbols.t \
	t/watched.t
dist_check_SCRIPTS += $(TREE_TESTS)
TESTS += $(TREE_TESTS)
