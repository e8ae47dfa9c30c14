# PHP plus the store: the extension, in each server module and as ephpm.so.

PHP_EMBED_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/kvcore $(PHP_CPPFLAGS)
# PHP's function signatures have parameters that few functions need.
PHP_EMBED_CFLAGS = $(AM_CFLAGS) -Wno-unused-parameter

EXTRA_DIST += php-embed/ephpm_ext.h php-embed/ephpm.stub.php

# An empty library whose SONAME is the file a module shall ask ld.so for;
# linked in the place of libphp, whose own SONAME is ambiguous (configure
# has the story).  t/symbols.t looks each undefined symbol up in the real one.
LIBPHP_NEEDED_LIB = php-embed/libphp-needed.so
LIBPHP_LIBS = -Wl,--push-state,--no-as-needed,$(LIBPHP_NEEDED_LIB),--pop-state
if HAVE_APACHE
$(LIBPHP_NEEDED_LIB): Makefile
	$(AM_V_GEN)$(MKDIR_P) php-embed && \
	  $(CC) -shared -nostdlib -Wl,-soname,'$(LIBPHP_NEEDED)' \
	    -o $@ -x c /dev/null
CLEANFILES += $(LIBPHP_NEEDED_LIB)
endif
