# The ephpm command: C, and one file of C++ for toml++.

if HAVE_TOML
bin_PROGRAMS += cli/ephpm
cli_ephpm_CPPFLAGS = $(AM_CPPFLAGS) -DHTTPD='"$(HTTPD)"' \
	-DHTTPD_MODULES_DIR='"$(HTTPD_MODULES_DIR)"' \
	-DHTTPDMODDIR='"$(httpdmoddir)"' -DNGINX='"$(NGINX)"' \
	-DNGINXMODDIR='"$(ngxmoddir)"' \
	-I$(top_srcdir)/php-embed \
	-DNGINX_MODULE_BUILT='"ngx_ephpm/objs/ngx_http_ephpm_module.so"'
cli_ephpm_LDADD = php-embed/libephpm_socket.la
cli_ephpm_SOURCES = \
	cli/cli_config.c \
	cli/cli_config.h \
	cli/cli_httpd.c \
	cli/cli_kv.c \
	cli/cli_kv.h \
	cli/cli_main.c \
	cli/cli_nginx.c \
	cli/cli_serve.c \
	cli/cli_serve.h \
	cli/cli_toml.cc

# The folders above are compiled in, and configure may have found other ones.
$(cli_ephpm_OBJECTS): Makefile
endif
