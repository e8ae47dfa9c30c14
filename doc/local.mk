# Manual pages, and a page on PHP applications.

dist_man_MANS += doc/ephpm.1 doc/mod_ephpm.7 doc/ngx_ephpm.7
dist_doc_DATA = doc/php-applications.md
