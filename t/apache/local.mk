# Tests against a real httpd: the suite, what only root can show, and some of
# the suite under valgrind.

dist_check_SCRIPTS += t/apache/suite.t t/apache/suite-event.t \
	t/apache/suite-worker.t t/apache-root/resp.t t/apache-root/root.t \
	t/apache/memcheck.t \
	t/apache/valgrind.t
EXTRA_DIST += \
	t/apache/conf/httpd.conf.in \
	t/apache/conf/php.ini \
	t/apache/conf/suite.conf \
	t/apache/conf/types \
	t/apache/conf/users \
	t/apache/htdocs/allowed/file.txt \
	t/apache/htdocs/count.php \
	t/apache/htdocs/deflated/page.php \
	t/apache/htdocs/echo.php \
	t/apache/htdocs/errors/document.php \
	t/apache/htdocs/errors/own.php \
	t/apache/htdocs/eval.php \
	t/apache/htdocs/forced/readme.txt \
	t/apache/htdocs/hack/page.html \
	t/apache/htdocs/hello.php \
	t/apache/htdocs/hello.txt \
	t/apache/htdocs/hints.php \
	t/apache/htdocs/ini/admin/.htaccess \
	t/apache/htdocs/ini/admin/show.php \
	t/apache/htdocs/ini/argv.php \
	t/apache/htdocs/ini/fileinfo/.htaccess \
	t/apache/htdocs/ini/fileinfo/show.php \
	t/apache/htdocs/ini/flags/show.php \
	t/apache/htdocs/ini/none/.htaccess \
	t/apache/htdocs/ini/none/show.php \
	t/apache/htdocs/ini/show.php \
	t/apache/htdocs/ini/sub/.htaccess \
	t/apache/htdocs/ini/sub/of.php \
	t/apache/htdocs/ini/sub/show.php \
	t/apache/htdocs/limited/echo.php \
	t/apache/htdocs/modified/page.php \
	t/apache/htdocs/off/page.php \
	t/apache/htdocs/open/.htaccess \
	t/apache/htdocs/open/of.php \
	t/apache/htdocs/open/read.php \
	t/apache/htdocs/open/wider/.htaccess \
	t/apache/htdocs/open/wider/read.php \
	t/apache/htdocs/private/hello.php \
	t/apache/htdocs/private/who.php \
	t/apache/htdocs/source.phps \
	t/apache/htdocs/ssi/dies.php \
	t/apache/htdocs/ssi/large.php \
	t/apache/htdocs/ssi/page.shtml \
	t/apache/htdocs/ssi/two.shtml \
	t/apache/htdocs/ssi/writes.php \
	t/apache/htdocs/sub/exit.php \
	t/apache/htdocs/sub/fatal.php \
	t/apache/htdocs/sub/header.php \
	t/apache/htdocs/sub/loop.php \
	t/apache/htdocs/sub/memory.php \
	t/apache/htdocs/syntax.php \
	t/apache/htdocs/typed/index.php \
	t/apache/htdocs/typed/page.five \
	t/apache/htdocs/typed/page.six \
	t/apache/htdocs/wide/.htaccess \
	t/apache/htdocs/wide/show.php \
	t/apache/lib/EphpmTest.pm \
	t/apache/lib/Memcheck.pm \
	t/apache/lib/OwnServer.pm \
	t/apache/lib/Runners.pm \
	t/apache/probe.c \
	t/apache/lib/StatusForms.pm \
	t/apache/run \
	t/apache/runners/http2.t \
	t/apache/runners/includes.t \
	t/apache/runners/limits.t \
	t/apache/runners/lives.t \
	t/apache/runners/queue.t \
	t/apache/runners/transfers.t \
	t/apache/tests/as_mod_php.t \
	t/apache/tests/bodies.t \
	t/apache/tests/compression.t \
	t/apache/tests/config.t \
	t/apache/tests/errors.t \
	t/apache/tests/handlers.t \
	t/apache/tests/ini.t \
	t/apache/tests/opcache.t \
	t/apache/tests/output.t \
	t/apache/tests/requests.t \
	t/apache/tests/resp.t \
	t/apache/tests/scripts.t \
	t/apache/tests/sessions.t \
	t/apache/tests/socache.t \
	t/apache/tests/state.t \
	t/apache/tests/status.t \
	t/apache/tests/store.t \
	t/apache/tests/store_memory.t \
	t/apache/tests/subrequests.t \
	t/apache/tests/user_ini.t \
	t/apache/tests/variables.t \
	t/apache/valgrind.supp
if HAVE_APACHE
TESTS += t/apache/suite.t t/apache/suite-event.t t/apache/suite-worker.t \
	t/apache-root/resp.t t/apache-root/root.t t/apache/memcheck.t \
	t/apache/valgrind.t
endif
