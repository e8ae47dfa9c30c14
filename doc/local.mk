# Manual pages.

dist_man_MANS += doc/ephpm.1 doc/mod_ephpm.7 doc/ngx_ephpm.7
