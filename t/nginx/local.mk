# Tests against a real nginx: one file a topic, each with a server of its own.

NGINX_TESTS = \
	t/nginx/aborts.t \
	t/nginx/bodies.t \
	t/nginx/config.t \
	t/nginx/crashes.t \
	t/nginx/errors.t \
	t/nginx/fairness.t \
	t/nginx/hostile.t \
	t/nginx/ini.t \
	t/nginx/limits.t \
	t/nginx/opcache.t \
	t/nginx/output.t \
	t/nginx/reload.t \
	t/nginx/requests.t \
	t/nginx/resp.t \
	t/nginx/root.t \
	t/nginx/samples.t \
	t/nginx/scripts.t \
	t/nginx/sessions.t \
	t/nginx/slow_clients.t \
	t/nginx/startup.t \
	t/nginx/state.t \
	t/nginx/status.t \
	t/nginx/store.t \
	t/nginx/subrequests.t \
	t/nginx/timeouts.t \
	t/nginx/upgrade.t \
	t/nginx/upstream.t \
	t/nginx/user_ini.t \
	t/nginx/variables.t
dist_check_SCRIPTS += $(NGINX_TESTS) t/nginx/checked
EXTRA_DIST += \
	t/nginx/deepbind.c \
	t/nginx/lib/LoadClient.pm \
	t/nginx/lib/NginxTest.pm \
	t/nginx/valgrind.supp
if HAVE_NGINX
TESTS += $(NGINX_TESTS)
endif
