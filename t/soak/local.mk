# Requests under graceful restarts: ./dev soak, and its short form.

EXTRA_DIST += t/soak/Soak.pm t/soak/page.php t/soak/soak
dist_check_SCRIPTS += t/soak/client.t t/soak/soak.t
TESTS += t/soak/client.t
if HAVE_APACHE
TESTS += t/soak/soak.t
endif
