# Requests under graceful restarts, reloads and kills: ./dev soak, and its
# short forms.

EXTRA_DIST += t/soak/Soak.pm t/soak/page.php t/soak/soak t/soak/soak-nginx
dist_check_SCRIPTS += t/soak/client.t t/soak/nginx.t t/soak/soak.t
TESTS += t/soak/client.t
if HAVE_APACHE
TESTS += t/soak/soak.t
endif
if HAVE_NGINX
TESTS += t/soak/nginx.t
endif
