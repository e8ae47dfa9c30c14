# The nginx modules: one for http { }, and one for stream { }, as stream is a
# module itself where packages have it.  nginx's own configure and make build
# them, in a copy of nginx's source: both write where they are.

NGX_C_FILES = \
	ngx_ephpm/ngx_http_ephpm_conf.c \
	ngx_ephpm/ngx_http_ephpm_handler.c \
	ngx_ephpm/ngx_http_ephpm_header.c \
	ngx_ephpm/ngx_http_ephpm_log.c \
	ngx_ephpm/ngx_http_ephpm_module.c \
	ngx_ephpm/ngx_http_ephpm_output.c \
	ngx_ephpm/ngx_http_ephpm_params.c \
	ngx_ephpm/ngx_http_ephpm_php.c \
	ngx_ephpm/ngx_http_ephpm_process.c \
	ngx_ephpm/ngx_http_ephpm_script.c \
	ngx_ephpm/ngx_http_ephpm_settings.c \
	ngx_ephpm/ngx_http_ephpm_snapshot.c \
	ngx_ephpm/ngx_http_ephpm_status.c \
	ngx_ephpm/ngx_http_ephpm_store.c \
	ngx_ephpm/ngx_http_ephpm_variables.c
NGX_STREAM_C_FILES = \
	ngx_ephpm/ngx_stream_ephpm_handler.c \
	ngx_ephpm/ngx_stream_ephpm_module.c \
	ngx_ephpm/ngx_stream_ephpm_service.c
NGX_H_FILES = \
	ngx_ephpm/ngx_ephpm_store.h \
	ngx_ephpm/ngx_http_ephpm_module.h \
	ngx_ephpm/ngx_stream_ephpm_module.h
EXTRA_DIST += ngx_ephpm/config ngx_ephpm/exports.map $(NGX_C_FILES) \
	$(NGX_STREAM_C_FILES) $(NGX_H_FILES)

if HAVE_NGINX
ngxmod_DATA = ngx_ephpm/objs/ngx_http_ephpm_module.so \
	ngx_ephpm/objs/ngx_stream_ephpm_module.so

NGX_ARCHIVES = php-embed/libephpm_pool.la php-embed/libephpm_sapi.la \
	php-embed/libephpm_ext.la php-embed/libephpm_status.la \
	php-embed/libephpm_jobs.la kvcore/libkvcore.la
NGX_STREAM_ARCHIVES = resp/libresp.la kvcore/libkvcore.la
NGX_USED_H_FILES = $(NGX_H_FILES) php-embed/ephpm_ext.h \
	php-embed/ephpm_facts.h php-embed/ephpm_history.h \
	php-embed/ephpm_jobs.h php-embed/ephpm_pool.h php-embed/ephpm_sapi.h \
	php-embed/ephpm_snapshot.h php-embed/ephpm_status.h kvcore/kv.h \
	resp/resp.h

# A module stays mapped when nginx has closed it: PHP does not like to be
# unloaded, and what a zone is tagged with is an address in here.
NGX_LINK = -Wl,-z,nodelete \
	-Wl,--version-script=$(abs_top_srcdir)/ngx_ephpm/exports.map

# What it takes to compile a file by itself: for the tests.
NGINX_CPPFLAGS = -isystem $(abs_top_builddir)/ngx_ephpm/objs \
	-isystem $(NGINX_SRC)/src/core -isystem $(NGINX_SRC)/src/event \
	-isystem $(NGINX_SRC)/src/event/modules \
	-isystem $(NGINX_SRC)/src/os/unix -isystem $(NGINX_SRC)/src/http \
	-isystem $(NGINX_SRC)/src/http/modules -isystem $(NGINX_SRC)/src/http/v2 \
	-isystem $(NGINX_SRC)/src/stream

ngx_ephpm/objs/Makefile: ngx_ephpm/config Makefile
	$(AM_V_at)rm -rf ngx_ephpm/nginx ngx_ephpm/objs
	$(AM_V_at)$(MKDIR_P) ngx_ephpm
	$(AM_V_at)cp -R '$(NGINX_SRC)' ngx_ephpm/nginx
	$(AM_V_at)chmod -R u+w ngx_ephpm/nginx
	$(AM_V_GEN)cd ngx_ephpm/nginx && \
	  CC='$(CC)' \
	  EPHPM_NGX_SRCS='$(NGX_C_FILES:%=$(abs_top_srcdir)/%)' \
	  EPHPM_NGX_DEPS='$(NGX_USED_H_FILES:%=$(abs_top_srcdir)/%)' \
	  EPHPM_NGX_STREAM_SRCS='$(NGX_STREAM_C_FILES:%=$(abs_top_srcdir)/%)' \
	  EPHPM_NGX_STREAM_LIBS="$(NGX_LINK) \
	    `echo '$(NGX_STREAM_ARCHIVES)' | $(NGX_ARCHIVE_FILES)` \
	    $(HIREDIS_LIBS) $(ZSTD_LIBS) $(ZLIB_LIBS) $(BROTLI_LIBS) -pthread" \
	  EPHPM_NGX_LIBS="$(NGX_LINK) -Wl,--start-group \
	    `echo '$(NGX_ARCHIVES)' | $(NGX_ARCHIVE_FILES)` \
	    -Wl,--end-group $(ZSTD_LIBS) $(ZLIB_LIBS) $(BROTLI_LIBS) -pthread \
	    -Wl,--push-state,--no-as-needed,$(abs_top_builddir)/$(LIBPHP_NEEDED_LIB),--pop-state" \
	  $(BASH) -c 'NGX_CONF_FLAGS=(); \
	    if [ -f conf_flags ]; then . ./conf_flags; fi; \
	    exec ./configure "$$@" "$${NGX_CONF_FLAGS[@]}"' configure \
	    --with-cc-opt='$(NGX_CPPFLAGS) $(CPPFLAGS) $(CFLAGS) -fPIC' \
	    --with-ld-opt='$(LDFLAGS)' \
	    --builddir='$(abs_top_builddir)/ngx_ephpm/objs' \
	    --add-dynamic-module='$(abs_top_srcdir)/ngx_ephpm' \
	    > ../configure.log 2>&1 || { tail ../configure.log; exit 1; }

# What libtool made for an archive of ours.
NGX_ARCHIVE_FILES = $(SED) \
	-e 's,\([^ ]*\)/\([^ /]*\)\.la,$(abs_top_builddir)/\1/.libs/\2.a,g'

# Quotes would get lost on the way: the version goes without.
NGX_CPPFLAGS = -DNGX_EPHPM_VERSION=$(PACKAGE_VERSION) -D_GNU_SOURCE \
	-I$(abs_top_srcdir)/kvcore -I$(abs_top_srcdir)/resp \
	-I$(abs_top_srcdir)/php-embed $(PHP_CPPFLAGS)

ngx_ephpm/objs/ngx_http_ephpm_module.so: ngx_ephpm/objs/Makefile \
	ngx_ephpm/exports.map $(NGX_C_FILES) $(NGX_USED_H_FILES) $(NGX_ARCHIVES) \
	$(LIBPHP_NEEDED_LIB)
	$(AM_V_at)rm -f $@
	$(AM_V_GEN)cd ngx_ephpm/nginx && \
	  $(MAKE) -s -f ../objs/Makefile '$(abs_top_builddir)/$@'

ngx_ephpm/objs/ngx_stream_ephpm_module.so: ngx_ephpm/objs/Makefile \
	ngx_ephpm/exports.map $(NGX_STREAM_C_FILES) $(NGX_USED_H_FILES) \
	$(NGX_STREAM_ARCHIVES)
	$(AM_V_at)rm -f $@
	$(AM_V_GEN)cd ngx_ephpm/nginx && \
	  $(MAKE) -s -f ../objs/Makefile '$(abs_top_builddir)/$@'
endif

clean-local: ngx-clean
ngx-clean:
	rm -rf ngx_ephpm/nginx ngx_ephpm/objs ngx_ephpm/configure.log
.PHONY: ngx-clean
