/* ephpm_so_remote_ops.c - ephpm.kv_socket: the functions act on the store of
 * a running server, through its listener (ephpm_socket.h).
 *
 * Each operation is a request or a few, and has the results that kvcore has
 * for the same call; the requests were chosen for that:
 *
 *     expire to "never"   PERSIST, and EXISTS, which says what kvcore says
 *     set with a TTL      SET PX, clamped to what Redis's times can hold
 *     mget, mset          single requests in one run: each key has its result
 *     scan                SCAN in steps, so that no answer grows past what
 *                         the listener lets wait
 *     del_prefix          SCAN and DEL
 *     stats               INFO's section "ephpm"
 *
 * A key that cannot be, and a value that can never fit, are told here and are
 * not sent: the listener would close the connection over 40 MB.
 */

#include "ephpm_so_remote.h"

#include <inttypes.h>

/* What one step of SCAN examines; times the longest key is less than what a
 * listener lets wait for its client. */
#define SCAN_SLOTS 512u

/* A run of changes is sent when it is this long. */
#define RUN_BYTES ((size_t)1 << 20)

typedef struct number {
    char digits[24];
} number_t;

static ephpm_word_t signed_word(number_t *number, int64_t value)
{
    int length = snprintf(number->digits, sizeof(number->digits), "%" PRId64,
                          value);

    return (ephpm_word_t){ number->digits, (size_t)length };
}

static ephpm_word_t unsigned_word(number_t *number, uint64_t value)
{
    int length = snprintf(number->digits, sizeof(number->digits), "%" PRIu64,
                          value);

    return (ephpm_word_t){ number->digits, (size_t)length };
}

/* Redis adds the time of the day. */
static int64_t clamped(int64_t ttl_ms)
{
    return ttl_ms > INT64_MAX / 2 ? INT64_MAX / 2 : ttl_ms;
}

static bool is_key(size_t key_bytes)
{
    return key_bytes >= 1 && key_bytes <= KV_KEY_MAX_BYTES;
}

/* The same for a reply that says yes or no with a number. */
static kv_result_t yes_or(const redisReply *reply, kv_result_t no)
{
    kv_result_t result = ephpm_remote_result(reply);

    if (result == KV_OK
        && (reply->type != REDIS_REPLY_INTEGER || reply->integer == 0)) {
        return no;
    }
    return result;
}

static kv_result_t string_of(const redisReply *reply, zval *value)
{
    kv_result_t result = ephpm_remote_result(reply);

    if (EXPECTED(result == KV_OK) && reply->type == REDIS_REPLY_STRING) {
        ZVAL_STRINGL(value, reply->str, (size_t)reply->len);
    } else {
        ZVAL_NULL(value);
    }
    return result;
}

/* ------------------------------------------------------------------ */
/* Reading                                                             */

static kv_result_t get(const char *key, size_t key_bytes, zval *value)
{
    ZVAL_NULL(value);
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return string_of(ASK(true, WORD("GET"), { key, key_bytes }), value);
}

static kv_result_t getdel(const char *key, size_t key_bytes, zval *value)
{
    ZVAL_NULL(value);
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return string_of(ASK(false, WORD("GETDEL"), { key, key_bytes }), value);
}

static void get_items(kv_item_t *items, uint32_t count, zval *values)
{
    struct ephpm_remote *remote = ephpm_remote_current();
    char text[EPHPM_ANSWER_BYTES] = "";
    size_t asked = 0;
    bool done;

    for (uint32_t i = 0; i < count; i++) {
        const ephpm_word_t words[] = { WORD("GET"),
                                       { items[i].key, items[i].key_len } };

        ZVAL_NULL(&values[i]);
        items[i].result = is_key(items[i].key_len) ? KV_OK : KV_BAD_KEY;
        if (items[i].result == KV_OK && remote != NULL) {
            ephpm_socket_put(remote->socket, words, 2);
            asked++;
        }
    }
    if (UNEXPECTED(remote == NULL)) {
        ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
    }
    done = asked == 0 || ephpm_remote_run(remote, true);
    asked = 0;
    for (uint32_t i = 0; i < count; i++) {
        const redisReply *reply;

        if (items[i].result != KV_OK) {
            continue;
        }
        reply = done && remote != NULL
            ? ephpm_socket_reply(remote->socket, asked++) : NULL;
        items[i].result = ephpm_remote_note(reply, text);
        if (items[i].result == KV_OK && reply->type == REDIS_REPLY_STRING) {
            ZVAL_STRINGL(&values[i], reply->str, (size_t)reply->len);
        }
    }
    ephpm_remote_tell(text);
}

static kv_result_t exists(const char *key, size_t key_bytes)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return yes_or(ASK(true, WORD("EXISTS"), { key, key_bytes }), KV_MISSING);
}

static kv_result_t deadline_get(const char *key, size_t key_bytes,
                                int64_t *left_ms)
{
    const redisReply *reply;
    kv_result_t result;

    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    reply = ASK(true, WORD("PTTL"), { key, key_bytes });
    result = ephpm_remote_result(reply);
    if (result == KV_OK) {
        *left_ms = reply->integer;
        result = reply->integer == -2 ? KV_MISSING : KV_OK;
    }
    return result;
}

/* ------------------------------------------------------------------ */
/* Writing                                                             */

static bool put_set(ephpm_socket_t *socket, const kv_item_t *item,
                    int64_t ttl_ms, const ephpm_word_t *expected,
                    bool if_absent)
{
    number_t ttl;
    size_t count = 3;
    ephpm_word_t words[8] = { WORD("SET"), { item->key, item->key_len },
                              { item->value, item->value_len } };

    if (ttl_ms > 0) {
        words[count++] = (ephpm_word_t)WORD("PX");
        words[count++] = signed_word(&ttl, clamped(ttl_ms));
    }
    if (if_absent) {
        words[count++] = (ephpm_word_t)WORD("NX");
    }
    if (expected != NULL) {
        words[count++] = (ephpm_word_t)WORD("IFEQ");
        words[count++] = *expected;
    }
    return ephpm_socket_put(socket, words, count);
}

static kv_result_t set_one(const kv_item_t *item, int64_t ttl_ms,
                           const ephpm_word_t *expected, bool if_absent,
                           kv_result_t no)
{
    struct ephpm_remote *remote;
    kv_result_t result;

    if (!is_key(item->key_len)) {
        return KV_BAD_KEY;
    }
    if (ephpm_remote_is_too_large(item->value_len)) {
        return KV_TOO_LARGE;
    }
    if (expected != NULL && ephpm_remote_is_too_large(expected->length)) {
        return KV_DIFFERENT;
    }
    remote = ephpm_remote_current();
    if (UNEXPECTED(remote == NULL)) {
        ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
        return KV_INVALID;
    }
    put_set(remote->socket, item, ttl_ms, expected, if_absent);
    if (!ephpm_remote_run(remote, false)) {
        return KV_INVALID;
    }
    result = ephpm_remote_result(ephpm_socket_reply(remote->socket, 0));
    return result == KV_MISSING ? no : result;
}

static kv_result_t set(const char *key, size_t key_bytes, const char *value,
                       size_t value_bytes, int64_t ttl_ms, kv_set_when_t when)
{
    kv_item_t item = { key, key_bytes, value, value_bytes, KV_OK, 0 };

    return set_one(&item, ttl_ms, NULL, when == KV_SET_IF_ABSENT, KV_EXISTS);
}

static kv_result_t set_equal(const char *key, size_t key_bytes,
                             const char *expected, size_t expected_bytes,
                             const char *value, size_t value_bytes,
                             int64_t ttl_ms)
{
    kv_item_t item = { key, key_bytes, value, value_bytes, KV_OK, 0 };
    ephpm_word_t was = { expected, expected_bytes };

    return set_one(&item, ttl_ms, &was, false, KV_DIFFERENT);
}

/* Send the items' requests that were put from `begin` on, and note the
 * results of those that have none yet.  false: the server is gone. */
static bool run_items(struct ephpm_remote *remote, kv_item_t *items,
                      uint32_t begin, uint32_t end)
{
    ephpm_socket_result_t done = ephpm_socket_run(remote->socket, false);
    char text[EPHPM_ANSWER_BYTES] = "";
    size_t asked = 0;

    for (uint32_t i = begin; i < end; i++) {
        if (items[i].result == KV_RETRY) {
            items[i].result = ephpm_remote_note(
                ephpm_socket_reply(remote->socket, asked++), text);
        }
    }
    if (UNEXPECTED(done != EPHPM_SOCKET_DONE)) {
        ephpm_remote_warn(done);
    } else {
        ephpm_remote_tell(text);
    }
    return done == EPHPM_SOCKET_DONE;
}

static void set_items(kv_item_t *items, uint32_t count, int64_t ttl_ms)
{
    struct ephpm_remote *remote = ephpm_remote_current();
    uint32_t begin = 0;
    bool good = remote != NULL;

    if (UNEXPECTED(!good)) {
        ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
    }
    for (uint32_t i = 0; i < count; i++) {
        kv_item_t *item = &items[i];

        if (!is_key(item->key_len)) {
            item->result = KV_BAD_KEY;
        } else if (item->value_len > EPHPM_SURELY_FITS_BYTES && good) {
            /* Alone, and the others before it: INFO may be asked. */
            if (begin < i && ephpm_socket_pending(remote->socket) != 0) {
                good = run_items(remote, items, begin, i);
            }
            item->result = good ? set_one(item, ttl_ms, NULL, false,
                                          KV_INVALID)
                                : KV_INVALID;
            begin = i + 1;
        } else if (good) {
            item->result = KV_RETRY;
            put_set(remote->socket, item, ttl_ms, NULL, false);
            if (ephpm_socket_pending(remote->socket) > RUN_BYTES) {
                good = run_items(remote, items, begin, i + 1);
                begin = i + 1;
            }
        } else {
            item->result = KV_INVALID;
        }
    }
    if (good && ephpm_socket_pending(remote->socket) != 0) {
        run_items(remote, items, begin, count);
    }
}

static kv_result_t add(const char *key, size_t key_bytes, int64_t delta,
                       int64_t *sum)
{
    const redisReply *reply;
    kv_result_t result;
    number_t number;

    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    reply = ASK(false, WORD("INCRBY"), { key, key_bytes },
                signed_word(&number, delta));
    result = ephpm_remote_result(reply);
    if (result == KV_OK) {
        *sum = reply->integer;
    }
    return result;
}

static kv_result_t deadline_set(const char *key, size_t key_bytes,
                                int64_t ttl_ms)
{
    const ephpm_word_t persist[] = { WORD("PERSIST"), { key, key_bytes } };
    const ephpm_word_t there[] = { WORD("EXISTS"), { key, key_bytes } };
    struct ephpm_remote *remote;
    kv_result_t result;
    number_t number;

    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    if (ttl_ms > 0) {
        return yes_or(ASK(false, WORD("PEXPIRE"), { key, key_bytes },
                          signed_word(&number, clamped(ttl_ms))),
                      KV_MISSING);
    }
    remote = ephpm_remote_current();
    if (UNEXPECTED(remote == NULL)) {
        ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
        return KV_INVALID;
    }
    ephpm_socket_put(remote->socket, persist, 2);
    ephpm_socket_put(remote->socket, there, 2);
    /* It does no harm twice. */
    if (!ephpm_remote_run(remote, true)) {
        return KV_INVALID;
    }
    result = ephpm_remote_result(ephpm_socket_reply(remote->socket, 0));
    return result != KV_OK ? result
        : yes_or(ephpm_socket_reply(remote->socket, 1), KV_MISSING);
}

static kv_result_t remove_key(const char *key, size_t key_bytes)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    return yes_or(ASK(false, WORD("DEL"), { key, key_bytes }), KV_MISSING);
}

static kv_result_t remove_equal(const char *key, size_t key_bytes,
                                const char *expected, size_t expected_bytes)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    if (ephpm_remote_is_too_large(expected_bytes)) {
        return KV_DIFFERENT;
    }
    return yes_or(ASK(false, WORD("DELIFEQ"), { key, key_bytes },
                      { expected, expected_bytes }), KV_DIFFERENT);
}

static kv_result_t flush(void)
{
    return ephpm_remote_result(ASK(false, WORD("FLUSHALL")));
}

/* ------------------------------------------------------------------ */
/* Enumerating                                                         */

/* One step of SCAN.  @return the array of keys, or NULL: the script knows */
static const redisReply *scan_step(uint64_t *cursor, const char *prefix,
                                   size_t prefix_bytes, uint64_t slots)
{
    const redisReply *reply;
    ephpm_word_t words[6] = { WORD("SCAN") };
    size_t pattern_bytes = 0;
    size_t count = 2;
    number_t where;
    number_t step;
    char *pattern = NULL;

    words[1] = unsigned_word(&where, *cursor);
    *cursor = 0;
    if (prefix_bytes != 0) {
        pattern = ephpm_socket_pattern(prefix, prefix_bytes, &pattern_bytes);
        if (pattern == NULL) {
            ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
            return NULL;
        }
        words[count++] = (ephpm_word_t)WORD("MATCH");
        words[count++] = (ephpm_word_t){ pattern, pattern_bytes };
    }
    words[count++] = (ephpm_word_t)WORD("COUNT");
    words[count++] = unsigned_word(&step, slots);
    {
        struct ephpm_remote *remote = ephpm_remote_current();

        if (remote != NULL) {
            ephpm_socket_put(remote->socket, words, count);
        }
        free(pattern);
        if (UNEXPECTED(remote == NULL)) {
            ephpm_remote_warn(EPHPM_SOCKET_NO_MEMORY);
            return NULL;
        }
        if (!ephpm_remote_run(remote, true)) {
            return NULL;
        }
        reply = ephpm_socket_reply(remote->socket, 0);
    }
    if (ephpm_remote_result(reply) != KV_OK || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return NULL;
    }
    *cursor = strtoull(reply->element[0]->str, NULL, 10);
    return reply->element[1];
}

static uint64_t scan(uint64_t cursor, const char *prefix, size_t prefix_bytes,
                     uint64_t slots, HashTable *keys)
{
    do {
        uint64_t step = slots < SCAN_SLOTS ? slots : SCAN_SLOTS;
        const redisReply *found = scan_step(&cursor, prefix, prefix_bytes,
                                            step);

        if (found == NULL) {
            return 0;
        }
        for (size_t i = 0; i < found->elements; i++) {
            const redisReply *key = found->element[i];
            zval entry;

            if (key->type == REDIS_REPLY_STRING) {
                ZVAL_STRINGL(&entry, key->str, (size_t)key->len);
                zend_hash_next_index_insert_new(keys, &entry);
            }
        }
        slots -= step;
    } while (slots != 0 && cursor != 0);
    return cursor;
}

/* Remove what a step has found. */
static kv_result_t remove_found(const redisReply *found, uint64_t *removed)
{
    struct ephpm_remote *remote = EPHPM_G(remote);
    ephpm_socket_result_t done = EPHPM_SOCKET_DONE;
    kv_result_t result = KV_OK;
    char text[EPHPM_ANSWER_BYTES] = "";
    size_t asked = 0;

    for (size_t i = 0; i < found->elements; i++) {
        const redisReply *key = found->element[i];
        const ephpm_word_t words[] = { WORD("DEL"),
                                       { key->str, (size_t)key->len } };

        if (key->type == REDIS_REPLY_STRING) {
            ephpm_socket_put(remote->socket, words, 2);
            asked++;
        }
    }
    if (asked != 0) {
        done = ephpm_socket_run(remote->socket, false);
    }
    for (size_t i = 0; i < asked; i++) {
        const redisReply *reply = ephpm_socket_reply(remote->socket, i);
        kv_result_t one = ephpm_remote_note(reply, text);

        if (one == KV_OK && reply->type == REDIS_REPLY_INTEGER) {
            *removed += (uint64_t)reply->integer;
        } else if (result == KV_OK) {
            result = one;
        }
    }
    if (UNEXPECTED(done != EPHPM_SOCKET_DONE)) {
        ephpm_remote_warn(done);
        result = KV_INVALID;
    } else {
        ephpm_remote_tell(text);
    }
    return result;
}

static kv_result_t remove_prefix(const char *prefix, size_t prefix_bytes,
                                 uint64_t *removed)
{
    kv_result_t result;
    uint64_t cursor = 0;

    *removed = 0;
    do {
        const redisReply *found = scan_step(&cursor, prefix, prefix_bytes,
                                            SCAN_SLOTS);

        result = found != NULL ? remove_found(found, removed) : KV_INVALID;
    } while (result == KV_OK && cursor != 0);
    return result;
}

/* ------------------------------------------------------------------ */
/* Waiting                                                             */

static kv_result_t wait_for(const char *key, size_t key_bytes,
                            uint64_t last_version, uint64_t timeout_ms,
                            uint64_t *version)
{
    if (!is_key(key_bytes)) {
        return KV_BAD_KEY;
    }
    php_error_docref(NULL, E_WARNING,
        "There is no waiting for a change through ephpm.kv_socket; ask for "
        "the value again after a while");
    return KV_INVALID;
}

static const ephpm_ops_t remote_ops = {
    .get = get,
    .getdel = getdel,
    .get_items = get_items,
    .exists = exists,
    .deadline_get = deadline_get,
    .set = set,
    .set_equal = set_equal,
    .set_items = set_items,
    .add = add,
    .deadline_set = deadline_set,
    .remove = remove_key,
    .remove_equal = remove_equal,
    .remove_prefix = remove_prefix,
    .flush = flush,
    .wait = wait_for,
    .scan = scan,
    .stats = ephpm_remote_stats,
    .limits = ephpm_remote_limits,
    .info = ephpm_remote_info,
};

const ephpm_ops_t *ephpm_remote_ops(void)
{
    const char *address = EPHPM_G(kv_socket);

    return address != NULL && *address != '\0' ? &remote_ops : NULL;
}
