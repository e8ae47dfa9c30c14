# PHP plus the store: the extension, in each server module and as ephpm.so.

# PHP's headers want _GNU_SOURCE before any other header is read.
PHP_EMBED_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/kvcore \
	$(PHP_CPPFLAGS)
# PHP's function signatures have parameters that few functions need.
PHP_EMBED_CFLAGS = $(AM_CFLAGS) -Wno-unused-parameter

EXTRA_DIST += php-embed/ephpm.stub.php php-embed/ephpm_sapi.stub.php

# The status page, but for what it asks PHP: it can be tested without.
noinst_LTLIBRARIES += php-embed/libephpm_status.la
php_embed_libephpm_status_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore
php_embed_libephpm_status_la_CFLAGS = $(AM_CFLAGS)
php_embed_libephpm_status_la_SOURCES = \
	php-embed/ephpm_history.c \
	php-embed/ephpm_history.h \
	php-embed/ephpm_status.c \
	php-embed/ephpm_status.h \
	php-embed/ephpm_status_data.c \
	php-embed/ephpm_status_graph.c \
	php-embed/ephpm_status_page.c \
	php-embed/ephpm_status_style.c \
	php-embed/ephpm_status_text.h

# The job table, which needs neither PHP nor a server.
noinst_LTLIBRARIES += php-embed/libephpm_jobs.la
php_embed_libephpm_jobs_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore
php_embed_libephpm_jobs_la_CFLAGS = $(AM_CFLAGS)
php_embed_libephpm_jobs_la_SOURCES = \
	php-embed/ephpm_event.h \
	php-embed/ephpm_facts.c \
	php-embed/ephpm_facts.h \
	php-embed/ephpm_jobs.c \
	php-embed/ephpm_jobs.h \
	php-embed/ephpm_jobs_check.c \
	php-embed/ephpm_jobs_private.h \
	php-embed/ephpm_jobs_ring.c \
	php-embed/ephpm_jobs_runner.c \
	php-embed/ephpm_jobs_spawner.c \
	php-embed/ephpm_jobs_submitter.c \
	php-embed/ephpm_snapshot.c \
	php-embed/ephpm_snapshot.h

# A client of a running server's store, for who has none: ephpm.so and cli.
noinst_LTLIBRARIES += php-embed/libephpm_socket.la
php_embed_libephpm_socket_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
php_embed_libephpm_socket_la_CFLAGS = $(AM_CFLAGS) $(HIREDIS_CFLAGS)
php_embed_libephpm_socket_la_LIBADD = $(HIREDIS_LIBS)
php_embed_libephpm_socket_la_SOURCES = \
	php-embed/ephpm_socket.c \
	php-embed/ephpm_socket.h \
	php-embed/ephpm_socket_dial.c \
	php-embed/ephpm_socket_private.h

# The extension: contained in each server module, and by itself ephpm.so.
if HAVE_PHP
noinst_LTLIBRARIES += php-embed/libephpm_ext.la
php_embed_libephpm_ext_la_CPPFLAGS = $(PHP_EMBED_CPPFLAGS) \
	-DZEND_ENABLE_STATIC_TSRMLS_CACHE=1
php_embed_libephpm_ext_la_CFLAGS = $(PHP_EMBED_CFLAGS)
php_embed_libephpm_ext_la_SOURCES = \
	php-embed/ephpm_arginfo.h \
	php-embed/ephpm_ext.h \
	php-embed/ephpm_kv.c \
	php-embed/ephpm_kv_compare.c \
	php-embed/ephpm_kv_many.c \
	php-embed/ephpm_kv_nowhere.c \
	php-embed/ephpm_module.c \
	php-embed/ephpm_session.c \
	php-embed/php_ephpm.h

# The SAPI: contained in each server module.
noinst_LTLIBRARIES += php-embed/libephpm_sapi.la
php_embed_libephpm_sapi_la_CPPFLAGS = $(PHP_EMBED_CPPFLAGS)
php_embed_libephpm_sapi_la_CFLAGS = $(PHP_EMBED_CFLAGS)
php_embed_libephpm_sapi_la_SOURCES = \
	php-embed/ephpm_sapi.c \
	php-embed/ephpm_sapi.h \
	php-embed/ephpm_sapi_arginfo.h \
	php-embed/ephpm_sapi_functions.c \
	php-embed/ephpm_sapi_ini.c \
	php-embed/ephpm_sapi_private.h \
	php-embed/ephpm_sapi_process.c \
	php-embed/ephpm_status_php.c

# Runners: contained in each server module whose workers run no PHP.
noinst_LTLIBRARIES += php-embed/libephpm_pool.la
php_embed_libephpm_pool_la_CPPFLAGS = $(PHP_EMBED_CPPFLAGS)
php_embed_libephpm_pool_la_CFLAGS = $(PHP_EMBED_CFLAGS)
php_embed_libephpm_pool_la_SOURCES = \
	php-embed/ephpm_brood.c \
	php-embed/ephpm_brood.h \
	php-embed/ephpm_pool.h \
	php-embed/ephpm_pool_private.h \
	php-embed/ephpm_pool_process.c \
	php-embed/ephpm_runner.c \
	php-embed/ephpm_runner_host.c \
	php-embed/ephpm_slowlog.c \
	php-embed/ephpm_slowlog.h \
	php-embed/ephpm_spawner.c

phpext_LTLIBRARIES = php-embed/ephpm.la
php_embed_ephpm_la_CPPFLAGS = $(php_embed_libephpm_ext_la_CPPFLAGS)
php_embed_ephpm_la_CFLAGS = $(PHP_EMBED_CFLAGS)
php_embed_ephpm_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version
php_embed_ephpm_la_LIBADD = php-embed/libephpm_ext.la \
	php-embed/libephpm_socket.la kvcore/libkvcore.la
php_embed_ephpm_la_SOURCES = \
	php-embed/ephpm_so.c \
	php-embed/ephpm_so.h \
	php-embed/ephpm_so_remote.c \
	php-embed/ephpm_so_remote.h \
	php-embed/ephpm_so_remote_ops.c
endif

# An empty library whose SONAME is the file a module shall ask ld.so for;
# linked in the place of libphp, whose own SONAME is ambiguous (configure
# has the story).  t/symbols.t looks each undefined symbol up in the real one.
LIBPHP_NEEDED_LIB = php-embed/libphp-needed.so
LIBPHP_LIBS = -Wl,--push-state,--no-as-needed,$(LIBPHP_NEEDED_LIB),--pop-state
if HAVE_SERVER
$(LIBPHP_NEEDED_LIB): Makefile
	$(AM_V_GEN)$(MKDIR_P) php-embed && \
	  $(CC) -shared -nostdlib -Wl,-soname,'$(LIBPHP_NEEDED)' \
	    -o $@ -x c /dev/null
CLEANFILES += $(LIBPHP_NEEDED_LIB)
endif
