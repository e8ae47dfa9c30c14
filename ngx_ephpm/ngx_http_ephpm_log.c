
/*
 * ngx_http_ephpm_log.c - what PHP says, in nginx's log.
 *
 * Which messages there are is said in php.ini (error_reporting, log_errors);
 * at nginx's default level, error, they are all seen, as those of php-fpm are.
 *
 * Texts of scripts cannot begin a line of their own.  A line that nginx would
 * cut becomes several, cut between words.
 */


#include "ngx_http_ephpm_module.h"


/* nginx's own limit is 2048, with time and request */
#define NGX_HTTP_EPHPM_LOG_LINE  1536


void
ngx_http_ephpm_log_message(ngx_log_t *log, ngx_int_t priority,
    const char *prefix, const u_char *text, size_t len)
{
    u_char       ch, *p, *last, *space;
    ngx_uint_t   level;

    u_char       line[NGX_HTTP_EPHPM_LOG_LINE];

    level = (priority >= 0 && priority <= 2) ? (ngx_uint_t) priority + 1
                                             : NGX_LOG_ERR;

    if (log->log_level < level) {
        return;
    }

    p = line;
    space = NULL;
    last = line + sizeof(line) - 4;

    while (len--) {
        ch = *text++;

        if (ch >= 0x20 && ch != 0x7f) {
            *p++ = ch;

            if (ch == ' ') {
                space = p;
            }

        } else if (ch == '\n') {
            *p++ = '\\'; *p++ = 'n';

        } else if (ch == '\t') {
            *p++ = '\\'; *p++ = 't';

        } else {
            p = ngx_sprintf(p, "\\x%02Xi", (ngx_uint_t) ch);
        }

        if (p < last) {
            continue;
        }

        if (space == NULL || space < line + sizeof(line) / 2) {
            space = p;
        }

        ngx_log_error(level, log, 0, "%s%*s",
                      prefix, (size_t) (space - line), line);

        p = ngx_movemem(line, space, p - space);
        space = NULL;
    }

    if (p > line) {
        ngx_log_error(level, log, 0, "%s%*s",
                      prefix, (size_t) (p - line), line);
    }
}
