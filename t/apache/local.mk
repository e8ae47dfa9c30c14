# Tests against a real httpd.

dist_check_SCRIPTS += t/apache/suite.t
if HAVE_APACHE
TESTS += t/apache/suite.t
endif
