# Tests against a real httpd.
