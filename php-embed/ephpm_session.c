/* ephpm_session.c - session.save_handler = ephpm: PHP's sessions in the store.
 *
 * Two keys a session:
 *
 *     session:<id>        the session as PHP has serialised it; lives for
 *                         session.gc_maxlifetime from its last use
 *     session-lock:<id>   there while a request has the session open; its
 *                         value is a random token that only the holder knows
 *
 * The lock is set if absent, with an expiry, and removed only while it still
 * has the holder's token, so nobody frees another's.  It is not renewed: a
 * holder that is killed, or takes longer than the expiry, loses it.  Hence
 * what a holder writes goes by three rules:
 *
 * W1  Nothing is written under another's lock.  The lock is set from the
 *     holder's token to the same token before, which also gives it its full
 *     expiry again, so that it does not run out between this and the write;
 *     where it has run out, it is taken anew if it is free.
 * W2  A value replaces only the value that was read: a write that came in
 *     while there was no lock is kept, and the script is told.
 * W3  Without an unbroken lock a value that is gone is not written again:
 *     another request has ended the session.
 *
 * So no write is lost without a warning, whoever stalls for however long.  A
 * process that is forked while a session is open has no part in it: it neither
 * writes it nor frees its lock.
 *
 * The state is in the module's globals and not in request memory: whatever
 * ends a request, PHP closes the handler, or else ephpm_session_end() does.
 */

#include "php_ephpm.h"

#ifdef EPHPM_HAVE_SESSION

#include <ext/session/php_session.h>
#if PHP_VERSION_ID >= 80400
#include <ext/random/php_random_csprng.h>
#else
#include <ext/random/php_random.h>
#endif

#include <dlfcn.h>
#include <time.h>
#include <unistd.h>
#include <zend_atomic.h>

#define DATA_PREFIX "session:"
#define LOCK_PREFIX "session-lock:"

/* What is added to a script's time limit, and counts as one where there is
 * none, for the lock's expiry. */
#define LOCK_GRACE_SECONDS 30
#define LOCK_NO_LIMIT_SECONDS 300

/* How long at most a time limit has to wait for its turn. */
#define SLICE_MS 100u

/* New ids tried before it is told that there is none. */
#define CREATE_TRIES 3

typedef zend_result (*register_fn)(const ps_module *);
typedef zend_string *(*create_id_fn)(PS_CREATE_SID_ARGS);

static create_id_fn create_id;
static bool registered;

/* ------------------------------------------------------------------ */
/* Names and times                                                     */

static bool is_id(const zend_string *id)
{
    if (ZSTR_LEN(id) == 0 || ZSTR_LEN(id) > EPHPM_SESSION_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < ZSTR_LEN(id); i++) {
        char c = ZSTR_VAL(id)[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
              || (c >= 'a' && c <= 'z') || c == '-' || c == ',')) {
            return false;
        }
    }
    return true;
}

typedef struct name {
    size_t bytes;
    char text[sizeof(LOCK_PREFIX) + EPHPM_SESSION_ID_MAX];
} name_t;

/* `prefix` is a literal. */
#define MAKE_NAME(name, prefix, id, id_bytes) do {                          \
    memcpy((name)->text, prefix, sizeof(prefix) - 1);                       \
    memcpy((name)->text + sizeof(prefix) - 1, id, id_bytes);                \
    (name)->bytes = sizeof(prefix) - 1 + (id_bytes);                        \
} while (0)

static name_t data_name(const ephpm_session_t *session)
{
    name_t name;

    MAKE_NAME(&name, DATA_PREFIX, session->id, session->id_bytes);
    return name;
}

static name_t lock_name(const ephpm_session_t *session)
{
    name_t name;

    MAKE_NAME(&name, LOCK_PREFIX, session->id, session->id_bytes);
    return name;
}

/* A session always has a deadline. */
static int64_t lifetime_ms(zend_long maxlifetime)
{
    return ephpm_ttl_ms(maxlifetime > 0 ? maxlifetime : 1);
}

static zend_long lock_ttl_seconds(void)
{
    zend_long limit;

    if (EPHPM_G(session_lock_ttl) > 0) {
        return EPHPM_G(session_lock_ttl);
    }
    limit = EG(timeout_seconds);
    return (limit > 0 ? limit : LOCK_NO_LIMIT_SECONDS) + LOCK_GRACE_SECONDS;
}

static int64_t lock_ttl_ms(void)
{
    return ephpm_ttl_ms(lock_ttl_seconds());
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static ZEND_COLD void warn(const ephpm_session_t *session, kv_result_t result,
                           size_t value_bytes)
{
    if (result == KV_NO_ROOM) {
        php_error_docref(NULL, E_WARNING,
            "The store is full and evicts nothing (noeviction): no room for "
            "the session");
    } else {
        ephpm_warn(session->store, result, session->id_bytes, value_bytes);
    }
}

/* ------------------------------------------------------------------ */
/* The lock                                                            */

static bool holds(const ephpm_session_t *session, const zend_string *id)
{
    return session->owner != 0 && session->id_bytes == ZSTR_LEN(id)
        && memcmp(session->id, ZSTR_VAL(id), ZSTR_LEN(id)) == 0;
}

/* Was this process forked from the one that has the session? */
static bool is_forked(const ephpm_session_t *session)
{
    return session->owner != 0 && session->owner != getpid();
}

static bool make_token(char *token)
{
    static const char digit[] = "0123456789abcdef";
    unsigned char random[EPHPM_SESSION_TOKEN_BYTES / 2];

    if (php_random_bytes_silent(random, sizeof(random)) == FAILURE) {
        php_error_docref(NULL, E_WARNING,
            "This system has no random numbers for the session's lock");
        return false;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        token[2 * i] = digit[random[i] >> 4];
        token[2 * i + 1] = digit[random[i] & 15];
    }
    return true;
}

/* Wait until the lock is free or has changed hands, for a slice of time.
 * `version` is that of the lock that is waited for; 0: not known yet. */
static kv_result_t wait_slice(ephpm_session_t *session, const name_t *lock,
                              uint64_t *version, int64_t left_ms)
{
    kv_read_t read;
    kv_result_t result;

    result = kv_key_wait(session->store, lock->text, lock->bytes, *version,
                         left_ms < SLICE_MS ? (uint64_t)left_ms : SLICE_MS,
                         version, &read);
    /* What else a signal may ask for can wait: a script that ran here could
     * use the session that is being opened. */
    if (UNEXPECTED(zend_atomic_bool_load_ex(&EG(timed_out)))) {
        zend_timeout();
    }
    return result;
}

static kv_result_t set_lock(ephpm_session_t *session)
{
    name_t lock = lock_name(session);
    kv_result_t result;

    result = kv_value_set(session->store, lock.text, lock.bytes,
                          session->token, sizeof(session->token),
                          lock_ttl_ms(), KV_SET_IF_ABSENT);
    if (result == KV_OK) {
        session->owner = getpid();
    }
    return result;
}

/* Take the session's lock, waiting for it as long as INI says. */
static bool lock_session(ephpm_session_t *session)
{
    name_t lock = lock_name(session);
    int64_t limit_ms = ephpm_ttl_ms(EPHPM_G(session_lock_wait));
    int64_t begin_ms = 0;
    uint64_t version = 0;
    kv_result_t result;

    while ((result = set_lock(session)) == KV_EXISTS) {
        do {
            int64_t now = now_ms();
            int64_t left_ms;

            if (begin_ms == 0) {
                begin_ms = now;
            }
            left_ms = limit_ms - (now - begin_ms);
            if (left_ms <= 0) {
                php_error_docref(NULL, E_WARNING,
                    "The session is locked by another request, still after "
                    ZEND_LONG_FMT " s (INI ephpm.session_lock_wait)",
                    EPHPM_G(session_lock_wait));
                return false;
            }
            result = wait_slice(session, &lock, &version, left_ms);
        } while (result == KV_OK || result == KV_TIMEOUT);
        if (result != KV_MISSING) {
            break;
        }
        version = 0;
    }
    if (result != KV_OK) {
        warn(session, result, 0);
        return false;
    }
    return true;
}

/* Let go of the lock, if it is this process's and still there. */
static void unlock_session(ephpm_session_t *session)
{
    name_t lock = lock_name(session);
    bool mine = session->owner != 0 && !is_forked(session);
    zend_string *was = session->was;
    kv_result_t result = KV_OK;

    session->owner = 0;
    session->was = NULL;
    if (mine) {
        result = kv_key_delete_equal(session->store, lock.text, lock.bytes,
                                     session->token, sizeof(session->token));
    }
    if (was != NULL) {
        zend_string_release(was);
    }
    if (UNEXPECTED(result == KV_BUSY)) {
        warn(session, result, 0);
    }
}

/* Hold the lock of `id`, and of no other. */
static bool hold(ephpm_session_t *session, const zend_string *id)
{
    if (holds(session, id)) {
        return true;
    }
    unlock_session(session);
    if (!is_id(id)) {
        php_error_docref(NULL, E_WARNING,
            "Session ID is too long or contains illegal characters. Only the "
            "A-Z, a-z, 0-9, \"-\", and \",\" characters are allowed");
        return false;
    }
    memcpy(session->id, ZSTR_VAL(id), ZSTR_LEN(id));
    session->id_bytes = ZSTR_LEN(id);
    return make_token(session->token) && lock_session(session);
}

typedef enum lock_state {
    LOCK_KEPT,      /* mine all the time */
    LOCK_REGAINED,  /* it had run out, and nobody had it just now */
    LOCK_LOST       /* another's, or no telling; the script knows */
} lock_state_t;

/* W1 */
static lock_state_t confirm_lock(ephpm_session_t *session)
{
    name_t lock = lock_name(session);
    kv_result_t result;

    result = kv_value_set_equal(session->store, lock.text, lock.bytes,
                                session->token, sizeof(session->token),
                                session->token, sizeof(session->token),
                                lock_ttl_ms());
    if (EXPECTED(result == KV_OK)) {
        return LOCK_KEPT;
    }
    if (result == KV_MISSING) {
        result = set_lock(session);
        if (result == KV_OK) {
            return LOCK_REGAINED;
        }
    }
    if (result == KV_DIFFERENT || result == KV_EXISTS) {
        php_error_docref(NULL, E_WARNING,
            "The lock of the session has run out after " ZEND_LONG_FMT " s "
            "(INI ephpm.session_lock_ttl) and another request has it now: "
            "what this one has changed is not saved", lock_ttl_seconds());
    } else {
        warn(session, result, 0);
    }
    return LOCK_LOST;
}

/* ------------------------------------------------------------------ */
/* The value                                                           */

/* Note what is in the store now. */
static kv_result_t read_value(ephpm_session_t *session)
{
    name_t data = data_name(session);
    zend_string *before = session->was;
    zval value;
    kv_result_t result;

    session->was = NULL;
    if (before != NULL) {
        zend_string_release(before);
    }
    result = ephpm_get_long(session->store, data.text, data.bytes, KV_RETRY,
                            &value);
    if (result == KV_OK) {
        session->was = Z_STR(value);
    }
    return result == KV_MISSING ? KV_OK : result;
}

static kv_result_t replace_value(ephpm_session_t *session, zend_string *val,
                                 int64_t ttl_ms)
{
    name_t data = data_name(session);
    zend_string *was = session->was;

    if (was == NULL) {
        return kv_value_set(session->store, data.text, data.bytes,
                            ZSTR_VAL(val), ZSTR_LEN(val), ttl_ms,
                            KV_SET_IF_ABSENT);
    }
    return kv_value_set_equal(session->store, data.text, data.bytes,
                              ZSTR_VAL(was), ZSTR_LEN(was), ZSTR_VAL(val),
                              ZSTR_LEN(val), ttl_ms);
}

static zend_result write_value(ephpm_session_t *session, zend_string *val,
                               zend_long maxlifetime)
{
    int64_t ttl_ms = lifetime_ms(maxlifetime);
    lock_state_t lock = confirm_lock(session);
    zend_string *before = session->was;
    kv_result_t result;

    if (lock == LOCK_LOST) {
        return FAILURE;
    }
    result = replace_value(session, val, ttl_ms);
    if (result == KV_MISSING && lock == LOCK_KEPT) {
        /* Evicted, or expired while the script ran. */
        name_t data = data_name(session);

        result = kv_value_set(session->store, data.text, data.bytes,
                              ZSTR_VAL(val), ZSTR_LEN(val), ttl_ms,
                              KV_SET_IF_ABSENT);
    }
    if (EXPECTED(result == KV_OK)) {
        session->was = zend_string_copy(val);
        if (before != NULL) {
            zend_string_release(before);
        }
        return SUCCESS;
    }
    switch (result) {
    case KV_EXISTS:
    case KV_DIFFERENT:  /* W2 */
        php_error_docref(NULL, E_WARNING,
            "The session was changed meanwhile%s: what this request has "
            "changed is not saved", lock == LOCK_KEPT ? " without its lock"
            : ", after this request's lock had run out (INI "
              "ephpm.session_lock_ttl)");
        break;
    case KV_MISSING:    /* W3 */
        php_error_docref(NULL, E_WARNING,
            "The session was ended meanwhile, after this request's lock had "
            "run out (INI ephpm.session_lock_ttl): what this request has "
            "changed is not saved");
        break;
    default:
        warn(session, result, ZSTR_LEN(val));
        break;
    }
    return FAILURE;
}

/* ------------------------------------------------------------------ */
/* What PHP calls                                                      */

static PS_OPEN_FUNC(ephpm)
{
    ephpm_session_t *session = &EPHPM_G(session);

    /* session_reset() opens what is open; the lock stays. */
    if (session->store == NULL) {
        session->store = ephpm_current_store();
        if (session->store == NULL) {
            if (ephpm_elsewhere() != NULL) {
                php_error_docref(NULL, E_WARNING,
                    "Sessions are kept where the store is, not through "
                    "ephpm.kv_socket: set session.save_handler to another "
                    "handler here");
            }
            return FAILURE;
        }
    }
    *mod_data = session;
    return SUCCESS;
}

static PS_CLOSE_FUNC(ephpm)
{
    ephpm_session_end();
    *mod_data = NULL;
    return SUCCESS;
}

static PS_READ_FUNC(ephpm)
{
    ephpm_session_t *session = *mod_data;
    kv_result_t result;

    if (!hold(session, key)) {
        return FAILURE;
    }
    result = read_value(session);
    if (UNEXPECTED(result != KV_OK)) {
        warn(session, result, 0);
        return FAILURE;
    }
    *val = session->was != NULL ? zend_string_copy(session->was)
                                : ZSTR_EMPTY_ALLOC();
    return SUCCESS;
}

/* A handler of the user's may write what PHP has not read. */
static bool hold_to_write(ephpm_session_t *session, const zend_string *id)
{
    kv_result_t result = KV_OK;

    if (!holds(session, id)) {
        if (!hold(session, id)) {
            return false;
        }
        result = read_value(session);
    }
    if (UNEXPECTED(result != KV_OK)) {
        warn(session, result, 0);
    }
    return result == KV_OK;
}

static PS_WRITE_FUNC(ephpm)
{
    ephpm_session_t *session = *mod_data;

    if (is_forked(session)) {
        return SUCCESS;
    }
    if (!hold_to_write(session, key)) {
        return FAILURE;
    }
    return write_value(session, val, maxlifetime);
}

/* session.lazy_write, and nothing has changed. */
static PS_UPDATE_TIMESTAMP_FUNC(ephpm)
{
    ephpm_session_t *session = *mod_data;
    kv_result_t result;
    name_t data;

    if (is_forked(session)) {
        return SUCCESS;
    }
    if (!hold_to_write(session, key)) {
        return FAILURE;
    }
    data = data_name(session);
    result = kv_deadline_set(session->store, data.text, data.bytes,
                             lifetime_ms(maxlifetime));
    if (EXPECTED(result == KV_OK)) {
        return SUCCESS;
    }
    if (result == KV_MISSING) {
        return write_value(session, val, maxlifetime);
    }
    warn(session, result, 0);
    return FAILURE;
}

static PS_DESTROY_FUNC(ephpm)
{
    ephpm_session_t *session = *mod_data;
    kv_result_t result;
    name_t data;

    if (!is_id(key)) {
        return FAILURE;
    }
    MAKE_NAME(&data, DATA_PREFIX, ZSTR_VAL(key), ZSTR_LEN(key));
    result = KV_DIFFERENT;
    if (holds(session, key) && session->was != NULL) {
        result = kv_key_delete_equal(session->store, data.text, data.bytes,
                                     ZSTR_VAL(session->was),
                                     ZSTR_LEN(session->was));
        if (UNEXPECTED(result == KV_DIFFERENT)) {
            php_error_docref(NULL, E_WARNING,
                "The session that ends was changed by another request, after "
                "this one's lock had run out (INI ephpm.session_lock_ttl); "
                "that change is gone");
        }
    }
    if (result == KV_DIFFERENT) {
        result = kv_key_delete(session->store, data.text, data.bytes);
    }
    if (UNEXPECTED(result != KV_OK && result != KV_MISSING)) {
        warn(session, result, 0);
        return FAILURE;
    }
    if (holds(session, key) && session->was != NULL) {
        zend_string_release(session->was);
        session->was = NULL;
    }
    return SUCCESS;
}

/* The store drops by itself what has expired. */
static PS_GC_FUNC(ephpm)
{
    *nrdels = 0;
    return 0;
}

/* Is there such a session?  One that no request has ended yet is there by its
 * lock: its cookie may be on its way already. */
static bool is_known(ephpm_session_t *session, const zend_string *id)
{
    name_t name;

    if (!is_id(id)) {
        return false;
    }
    MAKE_NAME(&name, DATA_PREFIX, ZSTR_VAL(id), ZSTR_LEN(id));
    if (kv_key_exists(session->store, name.text, name.bytes) == KV_OK) {
        return true;
    }
    MAKE_NAME(&name, LOCK_PREFIX, ZSTR_VAL(id), ZSTR_LEN(id));
    return kv_key_exists(session->store, name.text, name.bytes) == KV_OK;
}

static PS_VALIDATE_SID_FUNC(ephpm)
{
    return is_known(*mod_data, key) ? SUCCESS : FAILURE;
}

static PS_CREATE_SID_FUNC(ephpm)
{
    for (int i = 0; i < CREATE_TRIES; i++) {
        zend_string *id = create_id(mod_data);

        if (id == NULL || *mod_data == NULL || !is_known(*mod_data, id)) {
            return id;
        }
        zend_string_release_ex(id, 0);
    }
    return NULL;
}

static const ps_module handler = {
    PS_MOD_UPDATE_TIMESTAMP(ephpm)
};

/* ------------------------------------------------------------------ */
/* The module's side                                                   */

/* PHP may be without sessions, or have them in a library that is loaded after
 * this one: its functions are looked up when every library is there. */
void ephpm_session_start(void)
{
    register_fn register_module;

    *(void **)&register_module = dlsym(RTLD_DEFAULT,
                                       "php_session_register_module");
    *(void **)&create_id = dlsym(RTLD_DEFAULT, "php_session_create_id");
    registered = register_module != NULL && create_id != NULL
        && zend_hash_str_exists(&module_registry, ZEND_STRL("session"))
        && register_module(&handler) == SUCCESS;
}

bool ephpm_session_available(void)
{
    return registered;
}

void ephpm_session_end(void)
{
    ephpm_session_t *session = &EPHPM_G(session);

    if (session->store != NULL) {
        unlock_session(session);
        session->store = NULL;
        session->id_bytes = 0;
    }
}

#else

void ephpm_session_start(void)
{
}

bool ephpm_session_available(void)
{
    return false;
}

void ephpm_session_end(void)
{
}

#endif
