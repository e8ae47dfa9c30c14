# Configuration samples; the server tests load these very files.

confsampledir = $(docdir)/httpd
dist_confsample_DATA = \
	conf/httpd/ephpm.conf \
	conf/httpd/front-controller.conf \
	conf/httpd/status.conf \
	conf/httpd/vhosts.conf
confephpmdir = $(docdir)
dist_confephpm_DATA = conf/ephpm.toml
