# Configuration samples; the server tests load these very files.

confsampledir = $(docdir)/httpd
dist_confsample_DATA = \
	conf/httpd/ephpm.conf \
	conf/httpd/front-controller.conf \
	conf/httpd/resp.conf \
	conf/httpd/runners.conf \
	conf/httpd/status.conf \
	conf/httpd/vhosts.conf
confnginxdir = $(docdir)/nginx
dist_confnginx_DATA = \
	conf/nginx/ephpm.conf \
	conf/nginx/resp.conf \
	conf/nginx/site.conf \
	conf/nginx/sites.conf \
	conf/nginx/status.conf
confephpmdir = $(docdir)
dist_confephpm_DATA = conf/ephpm.toml
