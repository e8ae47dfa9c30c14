/* resp_string.c - commands about values.
 *
 * What has to act on the value a key has just now reads it, and then changes
 * it only if it is still that; else it begins again.
 */

#include "resp_private.h"

#include <string.h>

/* SET's and GETEX's options. */
typedef struct options {
    const resp_arg_t *expiry;      /* NULL: none */
    const resp_arg_t *expected;    /* IFEQ */
    resp_unit_t unit;
    bool absolute;
    bool if_absent;
    bool if_present;
    bool keep_ttl;
    bool get;
    bool persist;
} options_t;

/* EX, PX, EXAT or PXAT.  The same may come twice, and the last counts. */
static bool take_expiry(options_t *options, const resp_arg_t *arg,
                        const resp_arg_t *next)
{
    static const struct {
        const char *word;
        resp_unit_t unit;
        bool absolute;
    } of[] = {
        { "ex", UNIT_SECONDS, false }, { "px", UNIT_MS, false },
        { "exat", UNIT_SECONDS, true }, { "pxat", UNIT_MS, true }
    };

    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        if (resp_arg_is(arg, of[i].word)) {
            if (next == NULL || options->keep_ttl || options->persist
                || (options->expiry != NULL
                    && (options->unit != of[i].unit
                        || options->absolute != of[i].absolute))) {
                return false;
            }
            options->expiry = next;
            options->unit = of[i].unit;
            options->absolute = of[i].absolute;
            return true;
        }
    }
    return false;
}

static bool take_set_word(options_t *options, const resp_arg_t *arg)
{
    if (resp_arg_is(arg, "nx") && !options->if_present
        && options->expected == NULL) {
        options->if_absent = true;
    } else if (resp_arg_is(arg, "xx") && !options->if_absent
               && options->expected == NULL) {
        options->if_present = true;
    } else if (resp_arg_is(arg, "get")) {
        options->get = true;
    } else if (resp_arg_is(arg, "keepttl") && options->expiry == NULL) {
        options->keep_ttl = true;
    } else {
        return false;
    }
    return true;
}

static bool parse_options(options_t *options, bool is_set,
                          const resp_arg_t *args, size_t count)
{
    memset(options, 0, sizeof(*options));
    for (size_t i = 0; i < count; i++) {
        const resp_arg_t *next = i + 1 < count ? &args[i + 1] : NULL;

        if (is_set && resp_arg_is(&args[i], "ifeq") && next != NULL
            && !options->if_absent && !options->if_present) {
            options->expected = next;
            i++;
        } else if (take_expiry(options, &args[i], next)) {
            i++;
        } else if (is_set ? take_set_word(options, &args[i])
                   : resp_arg_is(&args[i], "persist")
                         && options->expiry == NULL) {
            options->persist = !is_set;
        } else {
            return false;
        }
    }
    return true;
}

static bool is_expected(const resp_conn_t *conn, const resp_arg_t *expected)
{
    return conn->scratch_bytes == expected->length
        && memcmp(conn->scratch, expected->bytes, expected->length) == 0;
}

/* The value as it was read, if it was, into another. */
static kv_result_t replace(resp_conn_t *conn, const resp_arg_t *key,
                           bool found, const resp_arg_t *value,
                           int64_t ttl_ms)
{
    kv_store_t *store = conn->service->store;

    if (found) {
        return kv_value_set_equal(store, key->bytes, key->length,
                                  conn->scratch, conn->scratch_bytes,
                                  value->bytes, value->length, ttl_ms);
    }
    return kv_value_set(store, key->bytes, key->length, value->bytes,
                        value->length, ttl_ms, KV_SET_IF_ABSENT);
}

static bool is_changed(kv_result_t result)
{
    return result == KV_DIFFERENT || result == KV_MISSING
        || result == KV_EXISTS;
}

/* SET ... GET.  Each of these begins again where another was faster. */
static void set_and_get(resp_conn_t *conn, const resp_arg_t *key,
                        const resp_arg_t *value, const options_t *options,
                        int64_t ttl_ms)
{
    kv_result_t result = KV_RETRY;
    bool found = false;

    for (int tries = RESP_TRIES; tries > 0; tries--) {
        kv_read_t read;
        bool wanted;

        result = resp_value_read(conn, key, &read, 0);
        if (result == KV_NO_MEMORY) {
            break;
        }
        found = result == KV_OK;
        wanted = options->expected != NULL
            ? found && is_expected(conn, options->expected)
            : found ? !options->if_absent : !options->if_present;
        result = wanted ? replace(conn, key, found, value, ttl_ms) : KV_OK;
        if (!is_changed(result)) {
            break;
        }
        result = KV_RETRY;
    }
    if (result != KV_OK) {
        resp_reply_refusal(conn, result);
    } else if (found) {
        resp_reply_bulk(conn, conn->scratch, conn->scratch_bytes);
    } else {
        resp_reply_null(conn);
    }
}

static void set_only(resp_conn_t *conn, const resp_arg_t *key,
                     const resp_arg_t *value, const options_t *options,
                     int64_t ttl_ms)
{
    kv_store_t *store = conn->service->store;
    kv_set_when_t when = options->if_absent ? KV_SET_IF_ABSENT
        : options->if_present ? KV_SET_IF_PRESENT : KV_SET_ALWAYS;
    kv_result_t result;

    if (options->expected != NULL) {
        result = kv_value_set_equal(store, key->bytes, key->length,
                                    options->expected->bytes,
                                    options->expected->length, value->bytes,
                                    value->length, ttl_ms);
    } else {
        result = kv_value_set(store, key->bytes, key->length, value->bytes,
                              value->length, ttl_ms, when);
    }
    if (result == KV_OK) {
        resp_reply_ok(conn);
    } else if (is_changed(result)) {
        resp_reply_null(conn);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(set)
{
    int64_t ttl_ms = KV_NO_TTL;
    bool over = false;
    options_t options;

    if (!parse_options(&options, true, args + 3, count - 3)) {
        resp_reply_error(conn, RESP_SYNTAX);
        return;
    }
    if (options.expiry != NULL) {
        if (!resp_want_expiry(conn, &args[0], options.expiry, options.unit,
                              options.absolute, &ttl_ms)) {
            return;
        }
        over = ttl_ms <= 0;
        ttl_ms = over ? 1 : ttl_ms;
    } else if (options.keep_ttl) {
        ttl_ms = KV_KEEP_TTL;
    }
    if (options.get) {
        set_and_get(conn, &args[1], &args[2], &options, ttl_ms);
    } else {
        set_only(conn, &args[1], &args[2], &options, ttl_ms);
    }
    if (over) {
        /* A moment early, in case it was set. */
        int64_t left_ms;

        if (kv_deadline_get(conn->service->store, args[1].bytes,
                            args[1].length, &left_ms) == KV_OK
            && left_ms == 1) {
            kv_key_delete(conn->service->store, args[1].bytes,
                          args[1].length);
        }
    }
}

static void set_for(resp_conn_t *conn, const resp_arg_t *args,
                    resp_unit_t unit)
{
    static const options_t none;
    int64_t ttl_ms;

    if (resp_want_expiry(conn, &args[0], &args[2], unit, false, &ttl_ms)) {
        set_only(conn, &args[1], &args[3], &none, ttl_ms);
    }
}

RESP_HANDLER(setex)
{
    (void)count;
    set_for(conn, args, UNIT_SECONDS);
}

RESP_HANDLER(psetex)
{
    (void)count;
    set_for(conn, args, UNIT_MS);
}

RESP_HANDLER(setnx)
{
    kv_result_t result;

    (void)count;
    result = kv_value_set(conn->service->store, args[1].bytes,
                          args[1].length, args[2].bytes, args[2].length,
                          KV_NO_TTL, KV_SET_IF_ABSENT);
    if (result == KV_OK || result == KV_EXISTS) {
        resp_reply_integer(conn, result == KV_OK);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(getset)
{
    static const options_t none;

    (void)count;
    set_and_get(conn, &args[1], &args[2], &none, KV_NO_TTL);
}

RESP_HANDLER(get)
{
    (void)count;
    resp_reply_value(conn, &args[1]);
}

RESP_HANDLER(getdel)
{
    kv_result_t result = KV_RETRY;

    (void)count;
    for (int tries = RESP_TRIES; tries > 0; tries--) {
        kv_read_t read;

        result = resp_value_read(conn, &args[1], &read, 0);
        if (result == KV_MISSING) {
            resp_reply_null(conn);
            return;
        }
        if (result == KV_OK) {
            result = kv_key_delete_version(conn->service->store,
                                           args[1].bytes, args[1].length,
                                           read.version);
        }
        if (!is_changed(result)) {
            break;
        }
        result = KV_RETRY;
    }
    if (result == KV_OK) {
        resp_reply_bulk(conn, conn->scratch, conn->scratch_bytes);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(getex)
{
    kv_store_t *store = conn->service->store;
    kv_result_t result = KV_OK;
    int64_t ttl_ms = 0;
    options_t options;
    kv_read_t read;

    if (!parse_options(&options, false, args + 2, count - 2)) {
        resp_reply_error(conn, RESP_SYNTAX);
        return;
    }
    result = resp_value_read(conn, &args[1], &read, 0);
    if (result == KV_MISSING) {
        resp_reply_null(conn);
        return;
    }
    if (result == KV_OK && options.expiry != NULL
        && !resp_want_expiry(conn, &args[0], options.expiry, options.unit,
                             options.absolute, &ttl_ms)) {
        return;
    }
    if (result == KV_OK && options.expiry != NULL && ttl_ms <= 0) {
        result = kv_key_delete(store, args[1].bytes, args[1].length);
    } else if (result == KV_OK
               && (options.expiry != NULL || options.persist)) {
        result = kv_deadline_set(store, args[1].bytes, args[1].length,
                                 ttl_ms);
    }
    /* It was there when it was read. */
    if (result == KV_OK || result == KV_MISSING) {
        resp_reply_bulk(conn, conn->scratch, conn->scratch_bytes);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(append)
{
    kv_result_t result = KV_RETRY;
    resp_arg_t value = args[2];

    (void)count;
    for (int tries = RESP_TRIES; tries > 0; tries--) {
        kv_read_t read;
        bool found;

        value = args[2];
        result = resp_value_read(conn, &args[1], &read, value.length);
        if (result == KV_NO_MEMORY) {
            break;
        }
        found = result == KV_OK;
        if (found) {
            if (value.length != 0) {
                memcpy(conn->scratch + conn->scratch_bytes, value.bytes,
                       value.length);
            }
            value.bytes = conn->scratch;
            value.length += conn->scratch_bytes;
        }
        result = replace(conn, &args[1], found, &value,
                         found ? KV_KEEP_TTL : KV_NO_TTL);
        if (!is_changed(result)) {
            break;
        }
        result = KV_RETRY;
    }
    if (result == KV_OK) {
        resp_reply_integer(conn, (int64_t)value.length);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(strlen)
{
    kv_read_t read;

    (void)count;
    if (kv_read_begin(conn->service->store, args[1].bytes, args[1].length,
                      &read) == KV_OK) {
        resp_reply_integer(conn, (int64_t)read.value_bytes);
    } else {
        resp_reply_integer(conn, 0);
    }
}

/* ------------------------------------------------------------------ */
/* Counters                                                            */

static void add(resp_conn_t *conn, const resp_arg_t *key, int64_t delta)
{
    int64_t sum;
    kv_result_t result = kv_counter_add(conn->service->store, key->bytes,
                                        key->length, delta, &sum);

    if (result == KV_OK) {
        resp_reply_integer(conn, sum);
    } else {
        resp_reply_refusal(conn, result);
    }
}

RESP_HANDLER(incr)
{
    (void)count;
    add(conn, &args[1], 1);
}

RESP_HANDLER(decr)
{
    (void)count;
    add(conn, &args[1], -1);
}

RESP_HANDLER(incrby)
{
    int64_t delta;

    (void)count;
    if (resp_want_integer(conn, &args[2], &delta)) {
        add(conn, &args[1], delta);
    }
}

RESP_HANDLER(decrby)
{
    int64_t delta;

    (void)count;
    if (!resp_want_integer(conn, &args[2], &delta)) {
        return;
    }
    if (delta == INT64_MIN) {
        resp_reply_error(conn, "ERR decrement would overflow");
        return;
    }
    add(conn, &args[1], -delta);
}

/* ------------------------------------------------------------------ */
/* Several                                                             */

RESP_HANDLER(mget)
{
    resp_reply_array(conn, count - 1);
    for (size_t i = 1; i < count && !conn->drop; i++) {
        resp_reply_value(conn, &args[i]);
    }
}

#define BATCH_ITEMS 32u

RESP_HANDLER(mset)
{
    kv_result_t result = KV_OK;

    if (count % 2 == 0) {
        resp_reply_error(conn,
                         "ERR wrong number of arguments for 'mset' command");
        return;
    }
    for (size_t at = 1; at < count && result != KV_BUSY; ) {
        kv_item_t items[BATCH_ITEMS];
        size_t batch = 0;

        for (; batch < BATCH_ITEMS && at < count; batch++, at += 2) {
            items[batch].key = args[at].bytes;
            items[batch].key_len = args[at].length;
            items[batch].value = args[at + 1].bytes;
            items[batch].value_len = args[at + 1].length;
        }
        kv_items_set(conn->service->store, items, batch, KV_NO_TTL);
        for (size_t i = 0; i < batch; i++) {
            if (items[i].result != KV_OK) {
                result = items[i].result;
            }
        }
    }
    if (result == KV_OK) {
        resp_reply_ok(conn);
    } else {
        resp_reply_refusal(conn, result);
    }
}
