/* ephpm_status.c - the status: queries, escaping, and what the forms share. */

#include "ephpm_status_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REFRESH_MAX_S 3600

const char ephpm_status_bad_query[] =
    "The status takes no such query. There is: none, for the page; "
    "refresh=N, for the page anew every N seconds (1 to 3600); json; "
    "metrics.\n";

const char ephpm_status_policy[] =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'";

/* ------------------------------------------------------------------ */
/* The query                                                           */

static bool part_is(const char *part, size_t length, const char *name)
{
    size_t bytes = strlen(name);

    if (length == bytes + 1 && part[bytes] == '=') {
        length--;
    }
    return length == bytes && memcmp(part, name, bytes) == 0;
}

/* @return the seconds, or 0: it is something else */
static unsigned refresh_of(const char *part, size_t length)
{
    static const char name[] = "refresh=";
    unsigned seconds = 0;

    if (length < sizeof(name) || memcmp(part, name, sizeof(name) - 1) != 0) {
        return 0;
    }
    for (size_t i = sizeof(name) - 1; i < length; i++) {
        if (part[i] < '0' || part[i] > '9' || seconds > REFRESH_MAX_S) {
            return 0;
        }
        seconds = seconds * 10 + (unsigned)(part[i] - '0');
    }
    return seconds <= REFRESH_MAX_S ? seconds : 0;
}

ephpm_status_query_t ephpm_status_query(const char *query)
{
    const ephpm_status_query_t bad = { EPHPM_STATUS_BAD_QUERY, 0 };
    ephpm_status_query_t asked = { EPHPM_STATUS_HTML, 0 };
    ephpm_status_format_t format;
    unsigned refresh_s;

    while (query != NULL && *query != '\0') {
        size_t length = strcspn(query, "&");

        refresh_s = refresh_of(query, length);
        if (refresh_s != 0 && asked.refresh_s == 0) {
            asked.refresh_s = refresh_s;
        } else if (length > 0) {
            format = part_is(query, length, "json") ? EPHPM_STATUS_JSON
                : part_is(query, length, "metrics") ? EPHPM_STATUS_METRICS
                : EPHPM_STATUS_BAD_QUERY;
            if (asked.format != EPHPM_STATUS_HTML && format != asked.format) {
                return bad;
            }
            asked.format = format;
        }
        if (asked.format == EPHPM_STATUS_BAD_QUERY) {
            return bad;
        }
        query += length + (query[length] == '&');
    }
    if (asked.format != EPHPM_STATUS_HTML && asked.refresh_s != 0) {
        return bad;
    }
    return asked;
}

const char *ephpm_status_type(ephpm_status_format_t format)
{
    switch (format) {
    case EPHPM_STATUS_HTML:
        return "text/html; charset=utf-8";
    case EPHPM_STATUS_JSON:
        return "application/json";
    case EPHPM_STATUS_METRICS:
        return "text/plain; version=0.0.4; charset=utf-8";
    case EPHPM_STATUS_BAD_QUERY:
        break;
    }
    return "text/plain; charset=utf-8";
}

/* ------------------------------------------------------------------ */
/* Text                                                                */

void ephpm_text_flush(ephpm_text_t *text)
{
    if (text->used > 0) {
        text->write(text->to, text->buffer, text->used);
        text->used = 0;
    }
}

void ephpm_text_put(ephpm_text_t *text, const char *data, size_t bytes)
{
    if (bytes > sizeof(text->buffer) - text->used) {
        ephpm_text_flush(text);
    }
    if (bytes > sizeof(text->buffer)) {
        text->write(text->to, data, bytes);
        return;
    }
    memcpy(text->buffer + text->used, data, bytes);
    text->used += bytes;
}

void ephpm_text_raw(ephpm_text_t *text, const char *string)
{
    ephpm_text_put(text, string, strlen(string));
}

void ephpm_text_format(ephpm_text_t *text, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length > 0) {
        ephpm_text_put(text, line, (size_t)length < sizeof(line)
                                       ? (size_t)length : sizeof(line) - 1);
    }
}

/* The bytes of the UTF-8 character that begins here, or 0: it is none that a
 * text may have. */
static size_t character(const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    size_t length;
    unsigned code;

    if (s[0] < 0x80) {
        return s[0] >= 0x20 && s[0] != 0x7f;
    }
    length = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0
        ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (length == 0) {
        return 0;
    }
    code = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (s[i] & 0x3fu);
    }
    /* Not written longer than need be; no surrogates, no C1 controls, no
     * noncharacters. */
    if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000)
        || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
        || code < 0xa0 || (code & 0xfffe) == 0xfffe
        || (code >= 0xfdd0 && code <= 0xfdef)) {
        return 0;
    }
    return length;
}

/* Write `string`; `escape` says what stands for a character of one byte, or
 * NULL: itself. */
static void escaped(ephpm_text_t *text, const char *string,
                    const char *(*escape)(char))
{
    while (*string != '\0') {
        const char *instead = escape(*string);
        size_t length = character(string);

        if (instead != NULL) {
            ephpm_text_raw(text, instead);
            length = 1;
        } else if (length == 0) {
            ephpm_text_raw(text, "\xef\xbf\xbd");
            length = 1;
        } else {
            ephpm_text_put(text, string, length);
        }
        string += length;
    }
}

static const char *html_escape(char byte)
{
    switch (byte) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static const char *json_escape(char byte)
{
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    default:
        return NULL;
    }
}

void ephpm_text_html(ephpm_text_t *text, const char *string)
{
    escaped(text, string, html_escape);
}

void ephpm_text_json(ephpm_text_t *text, const char *string)
{
    if (string == NULL) {
        ephpm_text_raw(text, "null");
        return;
    }
    ephpm_text_label(text, string);
}

/* The three that a label has to escape are among JSON's, and are escaped
 * there in the same way. */
void ephpm_text_label(ephpm_text_t *text, const char *string)
{
    ephpm_text_raw(text, "\"");
    escaped(text, string, json_escape);
    ephpm_text_raw(text, "\"");
}

/* ------------------------------------------------------------------ */
/* Numbers                                                             */

/* U+00A0: a unit stays on its number's line. */
#define SPACE "\xc2\xa0"

void ephpm_text_count(ephpm_text_t *text, uint64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            ephpm_text_raw(text, ",");
        }
        ephpm_text_put(text, &digits[i], 1);
    }
}

void ephpm_text_decimal(ephpm_text_t *text, double number, unsigned places)
{
    uint64_t scale = 1, scaled;

    for (unsigned i = 0; i < places; i++) {
        scale *= 10;
    }
    /* Not a number, below zero, out of range: none is to be expected. */
    scaled = number > 0 && number < 1e15
        ? (uint64_t)(number * (double)scale + 0.5) : 0;
    ephpm_text_format(text, "%" PRIu64, scaled / scale);
    if (places > 0) {
        ephpm_text_format(text, ".%0*" PRIu64, (int)places, scaled % scale);
    }
}

void ephpm_text_rate(ephpm_text_t *text, double a_second)
{
    if (a_second > 0 && a_second < 0.1) {
        ephpm_text_decimal(text, a_second, 2);
    } else if (a_second > 0 && a_second < 9.95) {
        ephpm_text_decimal(text, a_second, 1);
    } else {
        ephpm_text_count(text, (uint64_t)(a_second + 0.5));
    }
}

void ephpm_text_bytes(ephpm_text_t *text, uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    double size = (double)bytes / 1024;
    unsigned unit = 0;

    if (bytes < 1024) {
        ephpm_text_format(text, "%u" SPACE "B", (unsigned)bytes);
        return;
    }
    while (size >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        size /= 1024;
        unit++;
    }
    /* 64 MiB, but 64.3 MiB. */
    ephpm_text_decimal(text, size, (uint64_t)(size * 10 + 0.5) % 10 != 0);
    ephpm_text_format(text, SPACE "%s", units[unit]);
}

void ephpm_text_percent(ephpm_text_t *text, double part, double whole)
{
    double percent = whole > 0 ? part / whole * 100 : 0;

    if (!(whole > 0)) {
        ephpm_text_raw(text, "\xe2\x80\x93");
        return;
    }
    /* 100 % is all of it, 0 % nothing at all. */
    if (percent > 99.9 && part < whole) {
        percent = 99.9;
    } else if (percent < 0.1 && part > 0) {
        percent = 0.1;
    }
    ephpm_text_decimal(text, percent, (uint64_t)(percent * 10 + 0.5) % 10 != 0);
    ephpm_text_raw(text, SPACE "%");
}

static void number_of(ephpm_text_t *text, uint64_t number, const char *unit)
{
    ephpm_text_format(text, "%" PRIu64 SPACE "%s", number, unit);
}

void ephpm_text_duration(ephpm_text_t *text, double seconds)
{
    uint64_t s = seconds > 0 && seconds < 1e12 ? (uint64_t)(seconds + 0.5) : 0;

    if (s >= 86400) {
        number_of(text, s / 86400, "d" SPACE);
        number_of(text, s / 3600 % 24, "h");
    } else if (s >= 3600) {
        number_of(text, s / 3600, "h" SPACE);
        number_of(text, s / 60 % 60, "min");
    } else if (s >= 120) {
        number_of(text, s / 60, "min");
    } else {
        number_of(text, s, "s");
    }
}

/* ------------------------------------------------------------------ */
/* Facts                                                               */

void ephpm_store_facts(const ephpm_status_store_t *store,
                       ephpm_store_facts_t *facts)
{
    memset(facts, 0, sizeof(*facts));
    facts->store = store;
    facts->age_s = -1;
    facts->attached = store->handle != NULL;
    if (facts->attached) {
        kv_store_config(store->handle, &facts->config);
        kv_store_stats(store->handle, &facts->stats);
    }
    if (store->history != NULL) {
        facts->has_history = true;
        facts->made_s = ephpm_history_made(store->history);
        if (facts->made_s > 0) {
            facts->age_s = (int64_t)time(NULL) - facts->made_s;
        }
        ephpm_history_read(store->history, ephpm_history_clock(),
                           facts->periods);
    }
}

unsigned ephpm_status_busy(const ephpm_status_workers_t *workers)
{
    return workers->reading + workers->working + workers->keepalive
           + workers->closing + workers->finishing;
}

bool ephpm_status_has_workers(const ephpm_status_t *status)
{
    const ephpm_status_workers_t *workers = &status->workers;

    return status->runners == NULL || workers->limit > 0 || workers->idle > 0
           || workers->starting > 0 || ephpm_status_busy(workers) > 0;
}

void ephpm_status_write(const ephpm_status_t *status,
                        const ephpm_status_query_t *query,
                        ephpm_status_write_fn write, void *to)
{
    ephpm_text_t text = { .write = write, .to = to };

    switch (query->format) {
    case EPHPM_STATUS_HTML:
        ephpm_status_page(&text, status, query->refresh_s);
        break;
    case EPHPM_STATUS_JSON:
        ephpm_status_json(&text, status);
        break;
    case EPHPM_STATUS_METRICS:
        ephpm_status_metrics(&text, status);
        break;
    case EPHPM_STATUS_BAD_QUERY:
        break;
    }
    ephpm_text_flush(&text);
}
