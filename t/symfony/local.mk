# The adapter and the demo, on the packages of php-adapter/tests/install.

EXTRA_DIST += t/symfony/Site.pm t/symfony/full.php t/symfony/gone.php \
	t/symfony/suite.php
dist_check_SCRIPTS += t/symfony/console-nginx.t t/symfony/console.t \
	t/symfony/demo-nginx.t t/symfony/demo.t \
	t/symfony/redis.t t/symfony/style.t t/symfony/suites-apache.t \
	t/symfony/suites-cli.t t/symfony/suites-nginx.t \
	t/symfony/suites-socket.t
if COMPOSER_TESTS
if HAVE_PHP
TESTS += t/symfony/redis.t t/symfony/style.t t/symfony/suites-cli.t
endif
if HAVE_APACHE
TESTS += t/symfony/console.t t/symfony/demo.t t/symfony/suites-apache.t \
	t/symfony/suites-socket.t
endif
if HAVE_NGINX
TESTS += t/symfony/console-nginx.t t/symfony/demo-nginx.t t/symfony/suites-nginx.t
endif
endif
