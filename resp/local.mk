# Redis's protocol and commands over a store: contained in what has a listener
# for them.

noinst_LTLIBRARIES += resp/libresp.la
resp_libresp_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-I$(top_srcdir)/kvcore
resp_libresp_la_CFLAGS = $(AM_CFLAGS) $(HIREDIS_CFLAGS)
resp_libresp_la_LIBADD = $(HIREDIS_LIBS)
resp_libresp_la_SOURCES = \
	resp/resp.h \
	resp/resp_client.c \
	resp/resp_command.c \
	resp/resp_conn.c \
	resp/resp_inline.c \
	resp/resp_key.c \
	resp/resp_listen.c \
	resp/resp_private.h \
	resp/resp_reply.c \
	resp/resp_server.c \
	resp/resp_server.h \
	resp/resp_string.c
