# The Apache httpd module.

EXTRA_DIST += mod_ephpm/ephpm_functions.stub.php

if HAVE_APACHE
httpdmod_LTLIBRARIES = mod_ephpm/mod_ephpm.la
mod_ephpm_mod_ephpm_la_CPPFLAGS = $(PHP_EMBED_CPPFLAGS) $(HTTPD_CPPFLAGS) \
	-I$(top_srcdir)/php-embed -I$(top_srcdir)/resp
mod_ephpm_mod_ephpm_la_CFLAGS = $(PHP_EMBED_CFLAGS) $(HTTPD_CFLAGS)
mod_ephpm_mod_ephpm_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version \
	-export-symbols-regex '^ephpm_module$$' $(LIBPHP_LIBS)
mod_ephpm_mod_ephpm_la_LIBADD = php-embed/libephpm_pool.la \
	php-embed/libephpm_sapi.la \
	php-embed/libephpm_ext.la php-embed/libephpm_status.la \
	php-embed/libephpm_jobs.la resp/libresp.la kvcore/libkvcore.la
mod_ephpm_mod_ephpm_la_DEPENDENCIES = php-embed/libephpm_pool.la \
	php-embed/libephpm_sapi.la \
	php-embed/libephpm_ext.la php-embed/libephpm_status.la \
	php-embed/libephpm_jobs.la resp/libresp.la kvcore/libkvcore.la \
	$(LIBPHP_NEEDED_LIB)
mod_ephpm_mod_ephpm_la_SOURCES = \
	mod_ephpm/ephpm_config.c \
	mod_ephpm/ephpm_functions.c \
	mod_ephpm/ephpm_functions_arginfo.h \
	mod_ephpm/ephpm_handler.c \
	mod_ephpm/ephpm_output.c \
	mod_ephpm/ephpm_output.h \
	mod_ephpm/ephpm_process.c \
	mod_ephpm/ephpm_resp.c \
	mod_ephpm/ephpm_resp.h \
	mod_ephpm/ephpm_resp_helper.c \
	mod_ephpm/ephpm_response.c \
	mod_ephpm/ephpm_runners.c \
	mod_ephpm/ephpm_socache.c \
	mod_ephpm/ephpm_status_httpd.c \
	mod_ephpm/ephpm_store.c \
	mod_ephpm/ephpm_submit.c \
	mod_ephpm/ephpm_watched.c \
	mod_ephpm/mod_ephpm.c \
	mod_ephpm/mod_ephpm.h
endif
