# What php-embed can do without PHP.

if HAVE_CHECK
check_PROGRAMS += t/php-embed/status_test
TESTS += t/php-embed/status_test
endif
t_php_embed_status_test_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore -I$(top_srcdir)/php-embed
t_php_embed_status_test_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
t_php_embed_status_test_LDADD = php-embed/libephpm_status.la \
	php-embed/libephpm_jobs.la kvcore/libkvcore.la $(CHECK_LIBS)
t_php_embed_status_test_SOURCES = t/php-embed/status_test.c
