/* resp_inline.c - requests as lines, for people: words with blanks between
 * them, in quotes where they need it.
 */

#include "resp_private.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char escaped(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* One word from `*from` on, written from `*to` on; both are moved.  A word
 * takes no more room than its source. */
static bool take_word(const char **from, char **to)
{
    const char *at = *from;
    char *out = *to;
    char quote = '\0';

    for (;; at++) {
        if (quote == '\0') {
            if (*at == '\0' || *at == ' ' || *at == '\n' || *at == '\r'
                || *at == '\t') {
                break;
            }
            if (*at == '"' || *at == '\'') {
                quote = *at;
            } else {
                *out++ = *at;
            }
        } else if (*at == '\0') {
            return false;
        } else if (*at == quote) {
            at++;
            if (*at != '\0' && !is_blank(*at)) {
                return false;
            }
            break;
        } else if (quote == '"' && at[0] == '\\' && at[1] == 'x'
                   && hex_value(at[2]) >= 0 && hex_value(at[3]) >= 0) {
            *out++ = (char)(hex_value(at[2]) * 16 + hex_value(at[3]));
            at += 3;
        } else if (quote == '"' && at[0] == '\\' && at[1] != '\0') {
            at++;
            *out++ = escaped(*at);
        } else if (quote == '\'' && at[0] == '\\' && at[1] == '\'') {
            at++;
            *out++ = '\'';
        } else {
            *out++ = *at;
        }
    }
    *from = at;
    *to = out;
    return true;
}

bool resp_inline_split(resp_conn_t *conn, char *line, size_t length)
{
    const char *from = line;
    char *to = line;

    /* There is room: the line's end was here. */
    line[length] = '\0';
    for (;;) {
        char *begin = to;

        while (is_blank(*from)) {
            from++;
        }
        if (*from == '\0') {
            return true;
        }
        if (!take_word(&from, &to)
            || !resp_args_reserve(conn, conn->args_count + 1)) {
            return false;
        }
        conn->args[conn->args_count].bytes = begin;
        conn->args[conn->args_count].length = (size_t)(to - begin);
        conn->args_count++;
    }
}
