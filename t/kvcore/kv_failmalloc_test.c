/* kv_failmalloc_test.c - every allocation fails in its turn.
 *
 * kvcore's own calls of malloc and its kin come to the __wrap functions
 * (--wrap); those of the compression libraries, which are shared objects,
 * come to the functions that this program defines in libc's place.  The
 * sanitizers have allocators of their own, there only the first are failed.
 */

#include "kvt.h"

#include "kv_compress.h"

#include <errno.h>
#include <stddef.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&      \
    defined(__GLIBC__)
#define EVERY_LIBRARY 1
#else
#define EVERY_LIBRARY 0
#endif

#define SMALL_BYTES (256u << 10)

static long fail_at = -1;    /* the allocation to fail; -1: none */
static long allocations;
static bool fail_all_after;

static bool fails(void)
{
    if (fail_at < 0) {
        return false;
    }
    long number = allocations++;
    return number == fail_at || (fail_all_after && number > fail_at);
}

#if EVERY_LIBRARY
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

/* By their assembler names, as --wrap renames calls of the others. */
void *any_malloc(size_t bytes) __asm__("malloc")
    __attribute__((visibility("default")));
void *any_calloc(size_t count, size_t bytes) __asm__("calloc")
    __attribute__((visibility("default")));
void *any_realloc(void *old, size_t bytes) __asm__("realloc")
    __attribute__((visibility("default")));

void *any_malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

void *any_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(count, bytes);
}

void *any_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}

#define FAIL_HERE false
#else
#define FAIL_HERE fails()
#endif

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return FAIL_HERE ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return FAIL_HERE ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return FAIL_HERE ? NULL : __real_realloc(old, bytes);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    return fails() ? ENOMEM : __real_posix_memalign(memory, alignment, bytes);
}

/* ------------------------------------------------------------------ */

static void arm(long number, bool all_after)
{
    allocations = 0;
    fail_all_after = all_after;
    fail_at = number;
}

/* Did the armed failure happen? */
static bool disarm(void)
{
    bool happened = allocations > fail_at;
    fail_at = -1;
    return happened;
}

static kvt_t t;
static char value[20000];
static char got[20000];

static void open_with(kv_compression_t method)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    config.compression = method;
    config.min_compress_bytes = 100;
    kvt_open(&t, SMALL_BYTES, &config);
    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] = (char)('a' + i % 23 + i % 997 / 900);
    }
}

static void set_up(void)
{
    open_with(KV_COMPRESS_ZSTD);
}

static void tear_down(void)
{
    kvt_close(&t);
}

/* Even loops fail one allocation, odd ones that and all after it. */
#define ALL_AFTER (_i % 2 == 1)

/* Two loops for each method; one that is not built in packs nothing. */
#define METHODS_LOOPS 6
static kv_compression_t method_of(int loop)
{
    kv_compression_t method = (kv_compression_t)(KV_COMPRESS_ZSTD + loop / 2);
    return kv_compress_available(method) ? method : KV_COMPRESS_NONE;
}

START_TEST(attaching_says_so_and_takes_nothing)
{
    kv_stats_t stats;
    long number = 0;
    for (bool happened = true; happened; number++) {
        kv_store_t *store = NULL;
        arm(number, ALL_AFTER);
        kv_result_t result =
            kv_store_attach(t.memory, t.size_bytes, &store);
        happened = disarm();
        if (happened) {
            kvt_assert_result(result, KV_NO_MEMORY);
            ck_assert_ptr_eq(store, NULL);
        } else {
            kvt_assert_ok(result);
            kv_store_detach(store);
        }
        kv_store_stats(t.store, &stats);
        ck_assert_uint_eq(stats.threads, 1);
    }
    ck_assert_int_ge(number, 2);
}
END_TEST

START_TEST(a_value_that_cannot_be_packed_is_stored_plain)
{
    kv_compression_t method = method_of(_i);
    open_with(method);
    const size_t lengths[] = { 500, 3000, 20000 };
    for (size_t i = 0; i < 3; i++) {
        long number = 0;
        for (bool happened = true; happened; number++) {
            kv_store_t *fresh = kvt_attach(&t);
            arm(number, ALL_AFTER);
            kv_result_t result =
                kv_value_set(fresh, "k", 1, value, lengths[i], KV_NO_TTL,
                             KV_SET_ALWAYS);
            happened = disarm();
            kvt_assert_ok(result);
            kvt_assert_bytes(t.store, "k", 1, value, lengths[i]);
            kv_store_detach(fresh);
        }
        ck_assert_int_ge(number, method == KV_COMPRESS_NONE ? 1 : 2);
        kvt_assert_sound(t.store);
    }
    kvt_close(&t);
}
END_TEST

START_TEST(a_value_that_cannot_be_unpacked_stays)
{
    kv_compression_t method = method_of(_i);
    open_with(method);
    const size_t lengths[] = { 500, 3000, 20000 };
    for (size_t i = 0; i < 3; i++) {
        long number = 0;
        kvt_assert_ok(kv_value_set(t.store, "k", 1, value, lengths[i],
                                   KV_NO_TTL, KV_SET_ALWAYS));
        for (bool happened = true; happened; number++) {
            kv_store_t *fresh = kvt_attach(&t);
            kv_read_t read;
            kvt_assert_ok(kv_read_begin(fresh, "k", 1, &read));
            arm(number, ALL_AFTER);
            kv_result_t result = kv_read_copy(fresh, &read, got);
            happened = disarm();
            if (happened) {
                kvt_assert_result(result, KV_NO_MEMORY);
            } else {
                kvt_assert_ok(result);
                ck_assert_mem_eq(got, value, lengths[i]);
            }
            kv_store_detach(fresh);
        }
        ck_assert_int_ge(number, method == KV_COMPRESS_NONE ? 1 : 2);
        kvt_assert_bytes(t.store, "k", 1, value, lengths[i]);
    }
    kvt_close(&t);
}
END_TEST

START_TEST(comparing_says_so_and_changes_nothing)
{
    long number = 0;
    kvt_assert_ok(kv_value_set(t.store, "k", 1, value, 5000, KV_NO_TTL,
                               KV_SET_ALWAYS));
    for (bool happened = true; happened; number++) {
        kv_store_t *fresh = kvt_attach(&t);
        arm(number, true);
        kv_result_t result =
            kv_key_delete_equal(fresh, "k", 1, value, 5000);
        happened = disarm();
        if (happened) {
            kvt_assert_result(result, KV_NO_MEMORY);
            kvt_assert_bytes(t.store, "k", 1, value, 5000u);
        } else {
            kvt_assert_ok(result);
            kvt_assert_missing(t.store, "k");
        }
        kv_store_detach(fresh);
    }
    ck_assert_int_ge(number, 3);
}
END_TEST

START_TEST(what_needs_no_memory_works_without_any)
{
    int64_t number;
    uint64_t deleted;
    uint64_t version;
    kv_read_t read;
    kv_scan_t scan;
    kv_stats_t stats;
    size_t len;
    kv_store_t *s = t.store;
    arm(0, true);
    kv_result_t results[] = {
        kvt_set(s, "k", "value"),
        kv_read_begin(s, "k", 1, &read),
        kv_read_copy(s, &read, got),
        kvt_exists(s, "k"),
        kvt_expire(s, "k", 1000000),
        kvt_ttl(s, "k", &number),
        kvt_add(s, "n", 5, &number),
        kv_value_set_equal(s, "k", 1, "value", 5, "other", 5, 0),
        kv_key_wait(s, "k", 1, 0, 1000, &version, &read),
        kv_key_delete_equal(s, "k", 1, "other", 5),
        kvt_set(s, "k", "value"),
        kvt_delete(s, "k"),
        kv_prefix_delete(s, "x", 1, &deleted),
        kv_store_flush(s),
    };
    for (int i = 0; i < 3000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        if (kvt_set(s, key, "evicting each other in the end") != KV_OK) {
            results[0] = KV_BUSY;
        }
    }
    kv_scan_begin(s, &scan, 0, "", 0, 100);
    (void)kv_scan_key(s, &scan, &len);
    kv_store_stats(s, &stats);
    (void)disarm();
    ck_assert_int_eq(allocations, 0);
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        ck_assert_msg(results[i] == KV_OK, "call %zu: %s", i,
                      kv_result_text(results[i]));
    }
}
END_TEST

START_TEST(an_audit_without_memory_says_that_it_is_none)
{
    for (long number = 0; number < 2; number++) {
        arm(number, false);
        const char *said = kv_store_check(t.store);
        ck_assert(disarm());
        ck_assert_str_eq(said, "out of memory: not checked");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_failmalloc");
    TCase *tcase = kvt_case(suite, "kv_failmalloc");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, attaching_says_so_and_takes_nothing, 0, 2);
    tcase_add_test(tcase, comparing_says_so_and_changes_nothing);
    tcase_add_test(tcase, what_needs_no_memory_works_without_any);
    tcase_add_test(tcase, an_audit_without_memory_says_that_it_is_none);

    tcase = kvt_case(suite, "compression");
    tcase_add_loop_test(tcase, a_value_that_cannot_be_packed_is_stored_plain,
                        0, METHODS_LOOPS);
    tcase_add_loop_test(tcase, a_value_that_cannot_be_unpacked_stays, 0,
                        METHODS_LOOPS);
    return kvt_run(suite);
}
