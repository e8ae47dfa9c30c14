# What every test gets, and the tests of the tree as a whole.

TEST_EXTENSIONS = .t
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
T_LOG_DRIVER = $(TAP_DRIVER)

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
	HTTPD_CPPFLAGS='$(HTTPD_CPPFLAGS)'; LIBPHP='$(LIBPHP)'; \
	LIBPHP_NEEDED='$(LIBPHP_NEEDED)'; \
	export CC PHP_CPPFLAGS HTTPD_CPPFLAGS LIBPHP LIBPHP_NEEDED;

# The programs among TESTS that need the store alone.  In a build with
# sanitizers, or with LOG_COMPILER=valgrind, they are what to run:
#   make check-store [STORE_TESTS=...]
STORE_TESTS =
check-store: $(check_PROGRAMS)
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(STORE_TESTS)'
.PHONY: check-store

dist_check_SCRIPTS += t/dist.t t/docs.t t/install.t t/layering.t t/symbols.t
TESTS += t/dist.t t/docs.t t/install.t t/layering.t t/symbols.t
