# Debian's packaged applications under mod_ephpm.

EXTRA_DIST += t/apps/Apps.pm t/apps/laravel.php
dist_check_SCRIPTS += t/apps/dokuwiki.t t/apps/laravel.t t/apps/mediawiki.t \
	t/apps/wordpress.t
if HAVE_APACHE
TESTS += t/apps/dokuwiki.t t/apps/laravel.t t/apps/mediawiki.t \
	t/apps/wordpress.t
endif
