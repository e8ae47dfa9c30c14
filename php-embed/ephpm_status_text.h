/* ephpm_status_text.h - what the writers of the status share: text that goes
 * out in pieces, escaped for where it stands.
 */

#ifndef EPHPM_STATUS_TEXT_H
#define EPHPM_STATUS_TEXT_H

#include "ephpm_status.h"

/** Text on its way. */
typedef struct ephpm_text {
    ephpm_status_write_fn write;
    void *to;
    size_t used;
    char buffer[4096];
} ephpm_text_t;

/** A store with its figures, read once for all that is said of it. */
typedef struct ephpm_store_facts {
    const ephpm_status_store_t *store;
    bool attached;
    kv_config_t config;
    kv_stats_t stats;
    int64_t made_s;             /* 0: not known */
    int64_t age_s;              /* since it was made; below 0: not known */
    bool has_history;
    ephpm_period_t periods[EPHPM_HISTORY_SLOTS];
} ephpm_store_facts_t;

void ephpm_text_put(ephpm_text_t *text, const char *data, size_t bytes);
void ephpm_text_flush(ephpm_text_t *text);

/** As it is: for what stands in the source. */
void ephpm_text_raw(ephpm_text_t *text, const char *string);

/** printf() for numbers; what comes out is not escaped. */
void ephpm_text_format(ephpm_text_t *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** For HTML, text and attributes.  Bytes that are no UTF-8 or not allowed
 * there become U+FFFD. */
void ephpm_text_html(ephpm_text_t *text, const char *string);

/** For JSON, with the quotes around it; NULL becomes null. */
void ephpm_text_json(ephpm_text_t *text, const char *string);

/** For a label of Prometheus's, with the quotes. */
void ephpm_text_label(ephpm_text_t *text, const char *string);

/* For people: 1,234; 12.3; 43.2 MiB; 98.7 %; 3 h 12 min.  None of them minds
 * the locale that a script has set. */
void ephpm_text_count(ephpm_text_t *text, uint64_t number);
void ephpm_text_decimal(ephpm_text_t *text, double number, unsigned places);
void ephpm_text_rate(ephpm_text_t *text, double a_second);
void ephpm_text_bytes(ephpm_text_t *text, uint64_t bytes);
void ephpm_text_percent(ephpm_text_t *text, double part, double whole);
void ephpm_text_duration(ephpm_text_t *text, double seconds);

void ephpm_store_facts(const ephpm_status_store_t *store,
                       ephpm_store_facts_t *facts);

/** Workers that are not idle nor starting. */
unsigned ephpm_status_busy(const ephpm_status_workers_t *workers);

/** Is anything told of workers?  Always, unless there are runners. */
bool ephpm_status_has_workers(const ephpm_status_t *status);

/* The three forms. */
void ephpm_status_page(ephpm_text_t *text, const ephpm_status_t *status,
                       unsigned refresh_s);
void ephpm_status_json(ephpm_text_t *text, const ephpm_status_t *status);
void ephpm_status_metrics(ephpm_text_t *text, const ephpm_status_t *status);

/** The page's style sheet. */
extern const char ephpm_status_style[];

/** A store's three graphs. */
void ephpm_status_graphs(ephpm_text_t *text,
                         const ephpm_store_facts_t *facts);

#endif
