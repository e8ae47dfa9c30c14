# Tests against a real nginx: one file a topic, each with a server of its own.

EXTRA_DIST += \
	t/nginx/lib/LoadClient.pm \
	t/nginx/lib/NginxTest.pm
