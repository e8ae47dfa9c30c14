# ephpm.m4 - what configure asks of the machine, one macro for each answer.

# EPHPM_MISSING(WHAT, PACKAGE, OPTION)
# Stop with the one sentence every missing dependency gets.
AC_DEFUN([EPHPM_MISSING],
  [AC_MSG_ERROR([$1 was not found: apt-get install $2[]m4_ifval([$3],
                 [, or configure with $3])])])

# EPHPM_TRY_CFLAG(VARIABLE, FLAG)
# Append FLAG to VARIABLE if the compiler takes it.
AC_DEFUN([EPHPM_TRY_CFLAG],
  [AS_VAR_PUSHDEF([ephpm_flag], [ephpm_cv_flag_$2])dnl
   AC_CACHE_CHECK([whether $CC takes $2], [ephpm_flag],
     [ephpm_saved_CFLAGS=$CFLAGS
      CFLAGS="$CFLAGS -Werror $2"
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
        [AS_VAR_SET([ephpm_flag], [yes])], [AS_VAR_SET([ephpm_flag], [no])])
      CFLAGS=$ephpm_saved_CFLAGS])
   AS_VAR_IF([ephpm_flag], [yes], [$1="$$1 $2"])
   AS_VAR_POPDEF([ephpm_flag])])

# EPHPM_PHP
# Sets PHP_CONFIG, PHP, PHP_VERSION, PHP_CPPFLAGS, PHP_EXTENSION_DIR, LIBPHP
# (the file) and LIBPHP_NEEDED (what a module records for it).
AC_DEFUN([EPHPM_PHP],
  [AC_ARG_VAR([PHP], [PHP command line, for the tests])
   AS_CASE([$with_php_config],
     [yes], [AC_PATH_PROGS([PHP_CONFIG], [php-config])],
     [PHP_CONFIG=$with_php_config])
   AS_IF([test -z "$PHP_CONFIG" || test ! -x "$PHP_CONFIG"],
     [AS_CASE([$with_php_config],
       [yes],
       [EPHPM_MISSING([PHP's php-config], [php-dev], [--without-php])],
       [AC_MSG_ERROR([--with-php-config=$with_php_config names no program: \
give the path of the php-config of the PHP to build for])])])
   AC_SUBST([PHP_CONFIG])

   ephpm_vernum=`"$PHP_CONFIG" --vernum 2>/dev/null`
   AS_CASE([$ephpm_vernum],
     [''|*@<:@!0-9@:>@*],
     [AC_MSG_ERROR([$PHP_CONFIG is no php-config: it does not tell PHP's \
version])])
   PHP_VERSION=`"$PHP_CONFIG" --version`
   AC_SUBST([PHP_VERSION])
   AC_MSG_CHECKING([PHP's version])
   AC_MSG_RESULT([$PHP_VERSION])
   AS_IF([test "$ephpm_vernum" -lt 80200],
     [AC_MSG_ERROR([PHP $PHP_VERSION is too old: 8.2 or newer is needed \
(choose another with --with-php-config)])])
   ephpm_php_short=`echo "$PHP_VERSION" | sed 's/^\(@<:@0-9@:>@*\.@<:@0-9@:>@*\).*/\1/'`

   # System headers: PHP's own warnings are not ours to mend.
   PHP_CPPFLAGS=`"$PHP_CONFIG" --includes | sed 's/-I/-isystem /g'`
   AC_SUBST([PHP_CPPFLAGS])
   PHP_EXTENSION_DIR=`"$PHP_CONFIG" --extension-dir`
   AC_SUBST([PHP_EXTENSION_DIR])
   AS_IF([test -z "$PHP"], [PHP=`"$PHP_CONFIG" --php-binary`])
   AS_IF([test ! -x "$PHP"],
     [AC_MSG_WARN([PHP's command line ($PHP) was not found: \
apt-get install php-cli, or the tests cannot run])])

   ephpm_saved_CPPFLAGS=$CPPFLAGS
   # PHP 8.4's headers call what only _GNU_SOURCE declares.
   CPPFLAGS="$CPPFLAGS -D_GNU_SOURCE $PHP_CPPFLAGS"
   AC_CHECK_HEADER([main/php.h], [],
     [EPHPM_MISSING([PHP's header main/php.h], [php$ephpm_php_short-dev],
                    [--without-php])], [AC_INCLUDES_DEFAULT])
   CPPFLAGS=$ephpm_saved_CPPFLAGS
])

# EPHPM_LIBPHP
# After EPHPM_PHP.  Debian gives libphp of the embed package and the library
# of mod_php the same SONAME, and the linker records a SONAME.  So a module
# that was linked the plain way gets whichever of the two was loaded first.
# What is recorded instead is the versioned file, or its full path where it
# lies outside the directories that ld.so searches; see php-embed/local.mk.
AC_DEFUN([EPHPM_LIBPHP],
  [AC_ARG_VAR([LIBPHP], [file of PHP's embed library])
   ephpm_php_prefix=`"$PHP_CONFIG" --prefix`
   AC_MSG_CHECKING([for PHP's embed library])
   AS_IF([test -z "$LIBPHP"],
     [for ephpm_file in \
        "$ephpm_php_prefix/lib/libphp$ephpm_php_short.so" \
        "$ephpm_php_prefix/lib64/libphp$ephpm_php_short.so" \
        "$ephpm_php_prefix/lib/libphp-$ephpm_php_short.so" \
        "$ephpm_php_prefix/lib64/libphp-$ephpm_php_short.so" \
        "$ephpm_php_prefix/lib/libphp.so" \
        "$ephpm_php_prefix/lib64/libphp.so"
      do
        AS_IF([test -f "$ephpm_file"], [LIBPHP=$ephpm_file; break])
      done])
   AC_MSG_RESULT([${LIBPHP:-no}])
   AS_IF([test ! -f "$LIBPHP"],
     [EPHPM_MISSING([PHP's embed library],
                    [libphp$ephpm_php_short-embed],
                    [--without-apache --without-nginx])])

   AC_MSG_CHECKING([whether $LIBPHP can be linked])
   ephpm_saved_LIBS=$LIBS
   LIBS="$LIBPHP $LIBS"
   AC_LINK_IFELSE([AC_LANG_PROGRAM([[int php_module_startup(void *, void *);]],
                                   [[return php_module_startup(0, 0);]])],
     [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([$LIBPHP is not a PHP embed library of this machine: \
name the right file with LIBPHP=FILE])])
   LIBS=$ephpm_saved_LIBS

   AS_CASE([`AS_DIRNAME(["$LIBPHP"])`],
     [/lib|/lib64|/usr/lib|/usr/lib64|/lib/*-linux-*|/usr/lib/*-linux-*],
     [LIBPHP_NEEDED=`AS_BASENAME(["$LIBPHP"])`],
     [LIBPHP_NEEDED=$LIBPHP])
   AC_SUBST([LIBPHP_NEEDED])
])

# EPHPM_APACHE
# Sets APXS, HTTPD, HTTPD_CPPFLAGS, HTTPD_CFLAGS, HTTPD_MODULES_DIR.
AC_DEFUN([EPHPM_APACHE],
  [AC_ARG_VAR([HTTPD], [the httpd program])
   AS_CASE([$with_apxs],
     [yes], [AC_PATH_PROGS([APXS], [apxs apxs2], [],
                           [$PATH$PATH_SEPARATOR/usr/sbin])],
     [APXS=$with_apxs])
   AS_IF([test -z "$APXS" || test ! -x "$APXS"],
     [AS_CASE([$with_apxs],
       [yes],
       [EPHPM_MISSING([httpd's apxs], [apache2-dev], [--without-apache])],
       [AC_MSG_ERROR([--with-apxs=$with_apxs names no program: \
give the path of the apxs of the httpd to build for])])])
   AC_SUBST([APXS])

   ephpm_apr=`"$APXS" -q APR_CONFIG 2>/dev/null`
   AS_IF([test ! -x "$ephpm_apr"],
     [AC_PATH_PROGS([ephpm_apr], [apr-1-config])])
   AS_IF([test -z "$ephpm_apr"],
     [EPHPM_MISSING([apr-1-config], [libapr1-dev], [--without-apache])])
   HTTPD_CPPFLAGS="-isystem `"$APXS" -q INCLUDEDIR`"
   HTTPD_CPPFLAGS="$HTTPD_CPPFLAGS -isystem `"$APXS" -q APR_INCLUDEDIR`"
   HTTPD_CPPFLAGS="$HTTPD_CPPFLAGS -isystem `"$APXS" -q APU_INCLUDEDIR`"
   HTTPD_CPPFLAGS="$HTTPD_CPPFLAGS `"$ephpm_apr" --cppflags`"
   AC_SUBST([HTTPD_CPPFLAGS])
   HTTPD_CFLAGS=`"$APXS" -q EXTRA_CFLAGS 2>/dev/null`
   AC_SUBST([HTTPD_CFLAGS])
   HTTPD_MODULES_DIR=`"$APXS" -q LIBEXECDIR`
   AC_SUBST([HTTPD_MODULES_DIR])

   ephpm_saved_CPPFLAGS=$CPPFLAGS
   CPPFLAGS="$CPPFLAGS $HTTPD_CPPFLAGS"
   AC_CHECK_HEADER([httpd.h], [],
     [EPHPM_MISSING([httpd's header httpd.h], [apache2-dev],
                    [--without-apache])], [AC_INCLUDES_DEFAULT])
   CPPFLAGS=$ephpm_saved_CPPFLAGS

   AS_IF([test -z "$HTTPD"],
     [AC_PATH_PROGS([HTTPD], ["`"$APXS" -q PROGNAME`" apache2 httpd], [],
       [`"$APXS" -q SBINDIR`$PATH_SEPARATOR$PATH$PATH_SEPARATOR/usr/sbin])])
   AS_IF([test -z "$HTTPD"],
     [AC_MSG_WARN([httpd itself was not found: apt-get install apache2, \
or neither the tests nor ephpm serve can run])])
])

# EPHPM_NGINX
# Sets have_nginx to yes or to a line that says why not, NGINX (the program),
# NGINX_SRC, NGINX_VERSION and NGINX_MODULES_DIR.
#
# What is asked for by --with-nginx and not there is an error; what is not
# asked for is left out.
AC_DEFUN([EPHPM_NGINX],
  [AC_ARG_VAR([NGINX], [the nginx program, for the tests])
   AS_CASE([$with_nginx],
     [yes|check], [NGINX_SRC=/usr/share/nginx/src],
     [NGINX_SRC=$with_nginx])
   AC_MSG_CHECKING([for nginx's source])
   AS_IF([test -f "$NGINX_SRC/configure" && test -f "$NGINX_SRC/auto/module" &&
          test -f "$NGINX_SRC/src/core/nginx.h"],
     [have_nginx=yes
      NGINX_VERSION=`$SED -n ['s/^#define NGINX_VERSION *"\(.*\)"/\1/p'] \
        "$NGINX_SRC/src/core/nginx.h"`],
     [have_nginx="no: apt-get install nginx-dev"])
   AC_MSG_RESULT([$have_nginx])
   AS_CASE([$with_nginx,$have_nginx],
     [*,yes], [],
     [check,*], [],
     [yes,*],
     [EPHPM_MISSING([nginx's source ($NGINX_SRC)], [nginx-dev],
                    [--without-nginx])],
     [AC_MSG_ERROR([--with-nginx=$with_nginx: there is no nginx source with \
its configure and auto/module; leave the directory out for that of Debian's \
nginx-dev])])
   AS_IF([test "x$have_nginx" = xyes],
     [AC_PATH_PROG([BASH], [bash])
      AS_IF([test -z "$BASH"],
        [EPHPM_MISSING([bash, which nginx-dev's conf_flags needs], [bash],
                       [--without-nginx])])
      AC_CHECK_HEADERS([pcre2.h openssl/ssl.h zlib.h],
        [],
        [AS_CASE([$ac_header],
          [pcre2.h], [EPHPM_MISSING([pcre2.h, which nginx's headers need],
                                    [libpcre2-dev], [--without-nginx])],
          [zlib.h], [EPHPM_MISSING([zlib.h, which nginx's headers need],
                                   [zlib1g-dev], [--without-nginx])],
          [EPHPM_MISSING([openssl/ssl.h, which nginx's headers need],
                         [libssl-dev], [--without-nginx])])],
        [@%:@define PCRE2_CODE_UNIT_WIDTH 8])
      AC_PATH_PROG([NGINX], [nginx], [], [$PATH$PATH_SEPARATOR/usr/sbin])
      AS_IF([test -z "$NGINX"],
        [AC_MSG_WARN([nginx itself was not found: apt-get install nginx, or \
neither the tests nor ephpm serve can run it])])
      NGINX_MODULES_DIR=`$SED -n ['s/.*--modules-path=\([^ ]*\).*/\1/p'] \
        "$NGINX_SRC/conf_flags" 2>/dev/null`
      AS_IF([test -z "$NGINX_MODULES_DIR"],
        [NGINX_MODULES_DIR='${libdir}/nginx/modules'])])
   AC_SUBST([NGINX_SRC])
   AC_SUBST([NGINX_VERSION])
])
