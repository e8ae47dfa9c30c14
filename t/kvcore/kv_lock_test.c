/* kv_lock_test.c - attaching, locks, and what becomes of them when their
 * owners die, stop, fork or interrupt themselves. */

#include "kvt.h"

#include "kv_clock.h"
#include "kv_evict.h"
#include "kv_lock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL_BYTES (96u << 10)

static kvt_t t;
static _Atomic int *word;   /* shared with children */

static void set_up(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    config.wait_limit_ms = 100;
    kvt_open(&t, SMALL_BYTES, &config);
    word = kvt_shared(4096);
}

/* Where a dead owner may be waited for: nothing here is ever slow enough. */
static void set_up_patient(void)
{
    kv_config_t config = kvt_tiny(KV_ALLKEYS_LRU);
    config.wait_limit_ms = 120000;
    kvt_open(&t, SMALL_BYTES, &config);
    word = kvt_shared(4096);
}

static void tear_down(void)
{
    kvt_close(&t);
}

static uint64_t steals(void)
{
    kv_stats_t stats;
    kv_store_stats(t.store, &stats);
    return stats.steals;
}

static uint32_t threads(void)
{
    kv_stats_t stats;
    kv_store_stats(t.store, &stats);
    return stats.threads;
}

/* A child that holds the shard's lock and sleeps. */
static pid_t fork_holder(void)
{
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kv_store_t *store;
        kvt_child_check(
            kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
        kvt_child_check(kvt_set(store, "child", "was here") == KV_OK);
        kvt_child_check(kv_shard_lock(store, &store->shards[0]) == KV_OK);
        atomic_store(word, 1);
        for (;;) {
            pause();
        }
    }
    kvt_wait_word(word, 1);
    atomic_store(word, 0);
    return pid;
}

/* ------------------------------------------------------------------ */

START_TEST(attaching_takes_a_place_and_raises_its_incarnation)
{
    uint64_t first = t.store->lock_word;
    uint32_t entry = t.store->entry;
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_eq(first >> 48, entry + 1);
    ck_assert_uint_eq(first & KV_INCARNATION_MASK,
                      t.store->threads[entry].life.incarnation);
    ck_assert_uint_eq(t.store->threads[entry].life.pid, (uint64_t)getpid());
    kv_thread_detach(t.store);
    ck_assert_uint_eq(t.store->lock_word, 0);
    ck_assert_uint_eq(t.store->threads[entry].life.pid, 0);
    kvt_assert_ok(kv_thread_attach(t.store));
    ck_assert_uint_eq(t.store->entry, entry);
    ck_assert_uint_ne(t.store->lock_word, first);
}
END_TEST

START_TEST(the_incarnation_wraps_within_its_48_bits)
{
    uint32_t entry = t.store->entry;
    t.store->threads[entry].life.incarnation = KV_INCARNATION_MASK;
    kv_thread_detach(t.store);
    kvt_assert_ok(kv_thread_attach(t.store));
    ck_assert_uint_eq(t.store->lock_word >> 48, entry + 1);
    ck_assert_uint_eq(t.store->lock_word & KV_INCARNATION_MASK, 0);
    kvt_assert_ok(kvt_set(t.store, "a", "1"));
}
END_TEST

START_TEST(every_place_can_be_taken_and_no_more)
{
    kv_store_t *handle[9];
    for (int i = 0; i < 7; i++) {
        handle[i] = kvt_attach(&t);
        ck_assert_uint_ne(handle[i]->lock_word, 0);
        ck_assert_uint_ne(handle[i]->entry, t.store->entry);
        for (int j = 0; j < i; j++) {
            ck_assert_uint_ne(handle[i]->entry, handle[j]->entry);
        }
    }
    ck_assert_uint_eq(threads(), 8);
    handle[7] = kvt_attach(&t);
    ck_assert_uint_eq(handle[7]->lock_word, 0);
    kvt_assert_result(kv_thread_attach(handle[7]), KV_BUSY);
    for (int i = 0; i < 8; i++) {
        kv_store_detach(handle[i]);
    }
    ck_assert_uint_eq(threads(), 1);
}
END_TEST

START_TEST(a_dead_thread_gives_its_place_back)
{
    for (int i = 0; i < 40; i++) {
        pid_t pid = kvt_fork();
        if (pid == 0) {
            kv_store_t *store;
            kvt_child_check(
                kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
            kvt_child_check(kvt_set(store, "k", "v") == KV_OK);
            _exit(0); /* without detaching */
        }
        ck_assert_int_eq(kvt_wait(pid), 0);
    }
    ck_assert_uint_eq(threads(), 1);
}
END_TEST

START_TEST(a_live_owner_is_waited_for_and_then_busy)
{
    kv_store_t *other = kvt_attach(&t);
    int64_t sum = 42;
    kvt_assert_ok(kvt_set(t.store, "k", "1"));
    kvt_assert_ok(kv_shard_lock(other, &other->shards[0]));
    int64_t start_ms = kv_now_ms();
    kvt_assert_result(kvt_set(t.store, "k", "2"), KV_BUSY);
    ck_assert_int_ge(kv_now_ms() - start_ms, 90);
    kvt_assert_result(kvt_delete(t.store, "k"), KV_BUSY);
    kvt_assert_result(kvt_add(t.store, "k", 1, &sum), KV_BUSY);
    kvt_assert_result(kvt_expire(t.store, "k", 1000), KV_BUSY);
    kvt_assert_result(kv_store_flush(t.store), KV_BUSY);
    ck_assert_int_eq(sum, 42);
    kvt_assert_value(t.store, "k", "1");
    kv_unlock(&other->shards[0].lock);
    kvt_assert_ok(kvt_set(t.store, "k", "2"));
    ck_assert_uint_eq(steals(), 0);
    kv_store_detach(other);
}
END_TEST

START_TEST(a_lock_that_is_let_go_is_had_by_who_waits)
{
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kv_store_t *store;
        kvt_child_check(
            kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
        kvt_child_check(kv_shard_lock(store, &store->shards[0]) == KV_OK);
        atomic_store(word, 1);
        kvt_sleep_ms(50);
        kv_unlock(&store->shards[0].lock);
        kvt_child_end(true);
    }
    kvt_wait_word(word, 1);
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_int_eq(kvt_wait(pid), 0);
    ck_assert_uint_eq(steals(), 0);
}
END_TEST

START_TEST(a_killed_owner_is_followed_at_once)
{
    pid_t pid = fork_holder();
    ck_assert(!kv_lock_owner_dead(t.store, t.store->shards[0].lock));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
    kvt_assert_value(t.store, "child", "was here");
    kvt_assert_ok(kvt_set(t.store, "k", "w"));
    ck_assert_uint_eq(steals(), 1);
    ck_assert_uint_eq(threads(), 1);
}
END_TEST

START_TEST(an_owner_nobody_reaped_is_dead_too)
{
    pid_t pid = fork_holder();
    siginfo_t info;
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(kill(pid, 0), 0); /* there, as a zombie */
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
}
END_TEST

START_TEST(a_killed_owner_is_noticed_while_waiting)
{
    pid_t holder = fork_holder();
    pid_t killer = kvt_fork();
    if (killer == 0) {
        kvt_sleep_ms(50);
        kvt_child_end(kill(holder, SIGKILL) == 0);
    }
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
    ck_assert_int_eq(kvt_wait(killer), 0);
    ck_assert_int_eq(kvt_wait(holder), -SIGKILL);
}
END_TEST

START_TEST(a_death_seen_by_the_figures_is_still_seen_by_writers)
{
    pid_t pid = fork_holder();
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    ck_assert_uint_eq(threads(), 1); /* takes the kernel's word, once only */
    ck_assert(kv_lock_owner_dead(t.store, t.store->shards[0].lock));
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
}
END_TEST

START_TEST(a_place_taken_again_does_not_hide_a_death)
{
    pid_t pid = fork_holder();
    kv_store_t *handle[7];
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    for (int i = 0; i < 7; i++) {
        handle[i] = kvt_attach(&t);
        ck_assert_uint_ne(handle[i]->lock_word, 0);
    }
    ck_assert_uint_ne(t.store->shards[0].lock, 0);
    kvt_assert_ok(kvt_set(handle[3], "k", "v"));
    ck_assert_uint_eq(steals(), 1);
    for (int i = 0; i < 7; i++) {
        kv_store_detach(handle[i]);
    }
}
END_TEST

START_TEST(one_of_many_waiters_takes_over)
{
    enum { WAITERS = 6 };
    pid_t holder = fork_holder();
    pid_t waiter[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiter[i] = kvt_fork();
        if (waiter[i] == 0) {
            kv_store_t *store;
            int64_t sum;
            kvt_child_check(
                kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
            atomic_fetch_add(word, 1);
            kvt_child_check(kvt_add(store, "n", 1, &sum) == KV_OK);
            kv_store_detach(store);
            kvt_child_end(true);
        }
    }
    kvt_wait_word(word, WAITERS);
    kvt_sleep_ms(20);
    ck_assert_int_eq(kill(holder, SIGKILL), 0);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(kvt_wait(waiter[i]), 0);
    }
    ck_assert_int_eq(kvt_wait(holder), -SIGKILL);
    kvt_assert_value(t.store, "n", "6");
    ck_assert_uint_eq(steals(), 1);
}
END_TEST

START_TEST(a_stopped_owner_is_busy_and_goes_on_later)
{
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kv_store_t *store;
        kvt_child_check(
            kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK);
        kvt_child_check(kv_shard_lock(store, &store->shards[0]) == KV_OK);
        atomic_store(word, 1);
        raise(SIGSTOP);
        kv_unlock(&store->shards[0].lock);
        kvt_child_check(kvt_set(store, "after", "the stop") == KV_OK);
        kv_store_detach(store);
        kvt_child_end(true);
    }
    int status;
    kvt_wait_word(word, 1);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    kvt_assert_result(kvt_set(t.store, "k", "w"), KV_BUSY);
    kvt_assert_value(t.store, "k", "v"); /* readers do not care */
    ck_assert(!kv_lock_owner_dead(t.store, t.store->shards[0].lock));
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(kvt_wait(pid), 0);
    kvt_assert_ok(kvt_set(t.store, "k", "w"));
    kvt_assert_value(t.store, "after", "the stop");
    ck_assert_uint_eq(steals(), 0);
}
END_TEST

START_TEST(a_stopped_owner_that_is_killed_is_followed)
{
    pid_t pid = fork_holder();
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    kvt_assert_result(kvt_set(t.store, "k", "v"), KV_BUSY);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
}
END_TEST

static void *hold_and_end(void *argument)
{
    kv_store_t *store = NULL;
    (void)argument;
    if (kv_store_attach(t.memory, t.size_bytes, &store) == KV_OK) {
        (void)kv_shard_lock(store, &store->shards[0]);
    }
    return store;
}

START_TEST(the_owner_is_a_thread_not_a_process)
{
    pthread_t thread;
    void *store;
    ck_assert_int_eq(pthread_create(&thread, NULL, hold_and_end, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &store), 0);
    ck_assert_ptr_ne(store, NULL);
    ck_assert_uint_ne(t.store->shards[0].lock, 0);
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
    /* The mutex is nobody's any more; only the memory is left. */
    ((kv_store_t *)store)->lock_word = 0;
    kv_store_detach(store);
}
END_TEST

START_TEST(a_word_that_names_no_entry_is_a_dead_one)
{
    static const uint64_t nobody[] = {
        UINT64_C(0xffff) << 48 | 1,
        UINT64_C(9) << 48 | 1,
        1,
    };
    for (size_t i = 0; i < 3; i++) {
        t.store->shards[0].lock = nobody[i];
        kvt_assert_ok(kvt_set(t.store, "k", "v"));
        ck_assert_uint_eq(steals(), i + 1);
        ck_assert_uint_eq(t.store->shards[0].lock, 0);
    }
}
END_TEST

START_TEST(a_forked_child_attaches_anew_and_leaves_the_parents_place)
{
    uint64_t parents = t.store->lock_word;
    kvt_assert_ok(kvt_set(t.store, "k", "parent"));
    kvt_assert_ok(kv_shard_lock(t.store, &t.store->shards[0]));
    pid_t pid = kvt_fork();
    if (pid == 0) {
        char *value;
        size_t len;
        kvt_child_check(t.store->lock_word == 0);
        kvt_child_check(kvt_get(t.store, "k", 1, &value, &len) == KV_OK);
        kvt_child_check(strcmp(value, "parent") == 0);
        free(value);
        kvt_child_check(t.store->lock_word == 0); /* reading needs none */
        /* The parent holds the lock and lives. */
        kvt_child_check(kvt_set(t.store, "k", "child") == KV_BUSY);
        atomic_store(word, 1);
        while (atomic_load(word) != 2) {
            kvt_sleep_ms(1);
        }
        kvt_child_check(kvt_set(t.store, "k", "child") == KV_OK);
        kvt_child_check(t.store->lock_word != 0);
        kvt_child_check(t.store->lock_word != parents);
        kv_store_detach(t.store);
        kvt_child_end(true);
    }
    kvt_wait_word(word, 1);
    ck_assert_uint_eq(t.store->shards[0].lock, parents);
    kv_unlock(&t.store->shards[0].lock);
    atomic_store(word, 2);
    ck_assert_int_eq(kvt_wait(pid), 0);
    kvt_assert_value(t.store, "k", "child");
    ck_assert_uint_eq(t.store->lock_word, parents);
    kvt_assert_ok(kvt_set(t.store, "k", "parent again"));
    ck_assert_uint_eq(steals(), 0);
}
END_TEST

START_TEST(a_forked_child_may_detach_without_harm_to_the_parent)
{
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kv_store_detach(t.store);
        kvt_child_end(true);
    }
    ck_assert_int_eq(kvt_wait(pid), 0);
    kv_store_t *other = kvt_attach(&t);
    ck_assert_uint_ne(other->entry, t.store->entry);
    kv_store_detach(other);
    ck_assert_uint_eq(threads(), 1);
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
}
END_TEST

START_TEST(a_child_that_dies_after_fork_takes_no_lock_along)
{
    kvt_assert_ok(kv_shard_lock(t.store, &t.store->shards[0]));
    pid_t pid = kvt_fork();
    if (pid == 0) {
        raise(SIGKILL);
    }
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    kv_store_t *other = kvt_attach(&t);
    kvt_assert_result(kvt_set(other, "k", "v"), KV_BUSY);
    kv_unlock(&t.store->shards[0].lock);
    kvt_assert_ok(kvt_set(other, "k", "v"));
    ck_assert_uint_eq(steals(), 0);
    kv_store_detach(other);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Signal handlers                                                     */

static volatile sig_atomic_t handled;
static kv_result_t handlers_result;

static void write_in_handler(int signal_number)
{
    (void)signal_number;
    handlers_result = kvt_set(t.store, "handler", "v");
    handled = 1;
}

START_TEST(a_handler_that_interrupts_its_own_write_is_busy_at_once)
{
    signal(SIGUSR1, write_in_handler);
    kvt_assert_ok(kv_shard_lock(t.store, &t.store->shards[0]));
    int64_t start_ms = kv_now_ms();
    raise(SIGUSR1);
    ck_assert_int_eq(handled, 1);
    ck_assert_int_eq(handlers_result, KV_BUSY);
    /* Well below the wait limit, two minutes here. */
    ck_assert_int_lt(kv_now_ms() - start_ms, 60000);
    ck_assert_uint_eq(t.store->shards[0].lock, t.store->lock_word);
    kv_unlock(&t.store->shards[0].lock);
    kvt_assert_missing(t.store, "handler");
    raise(SIGUSR1);
    ck_assert_int_eq(handlers_result, KV_OK);
}
END_TEST

static void end_in_handler(int signal_number)
{
    (void)signal_number;
    _exit(3);
}

START_TEST(a_handler_may_end_the_process_in_the_middle_of_a_write)
{
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    pid_t pid = kvt_fork();
    if (pid == 0) {
        signal(SIGUSR1, end_in_handler);
        kvt_child_check(kvt_set(t.store, "k", "w") == KV_OK);
        kvt_child_check(kv_shard_lock(t.store, &t.store->shards[0]) ==
                        KV_OK);
        raise(SIGUSR1);
        kvt_child_end(false);
    }
    ck_assert_int_eq(kvt_wait(pid), 3);
    kvt_assert_value(t.store, "k", "w");
    kvt_assert_ok(kvt_set(t.store, "k", "x"));
    ck_assert_uint_eq(steals(), 1);
}
END_TEST

/* As after a longjmp out of the middle of a write. */
START_TEST(who_detaches_while_holding_a_lock_has_left_it)
{
    kv_store_t *other = kvt_attach(&t);
    kvt_assert_ok(kv_shard_lock(other, &other->shards[0]));
    kv_store_detach(other);
    kvt_assert_ok(kvt_set(t.store, "k", "v"));
    ck_assert_uint_eq(steals(), 1);
}
END_TEST

/* Writing all the time, interrupted all the time. */
START_TEST(handlers_and_their_thread_never_deadlock)
{
    enum { WRITES = 100000 / KVT_SLOWER };
    pid_t parent = getpid();
    signal(SIGUSR1, write_in_handler);
    pid_t pid = kvt_fork();
    if (pid == 0) {
        while (atomic_load(word) == 0) {
            kill(parent, SIGUSR1);
            usleep(200);
        }
        kvt_child_end(true);
    }
    for (int i = 0; i < WRITES; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i % 900);
        kvt_assert_ok(kvt_set(t.store, key, "value of some length or other"));
        kvt_assert(handlers_result == KV_OK || handlers_result == KV_BUSY);
    }
    atomic_store(word, 1);
    ck_assert_int_eq(kvt_wait(pid), 0);
    ck_assert_int_eq(handled, 1);
    signal(SIGUSR1, SIG_IGN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_lock");
    TCase *tcase = kvt_case(suite, "attaching");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, attaching_takes_a_place_and_raises_its_incarnation);
    tcase_add_test(tcase, the_incarnation_wraps_within_its_48_bits);
    tcase_add_test(tcase, every_place_can_be_taken_and_no_more);
    tcase_add_test(tcase, a_dead_thread_gives_its_place_back);

    tcase = kvt_case(suite, "live owners");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_live_owner_is_waited_for_and_then_busy);
    tcase_add_test(tcase, a_stopped_owner_is_busy_and_goes_on_later);
    tcase_add_test(tcase, a_stopped_owner_that_is_killed_is_followed);
    tcase_add_test(tcase,
                   a_forked_child_attaches_anew_and_leaves_the_parents_place);
    tcase_add_test(tcase,
                   a_forked_child_may_detach_without_harm_to_the_parent);
    tcase_add_test(tcase, a_child_that_dies_after_fork_takes_no_lock_along);

    tcase = kvt_case(suite, "dead owners");
    tcase_add_checked_fixture(tcase, set_up_patient, tear_down);
    tcase_add_test(tcase, a_lock_that_is_let_go_is_had_by_who_waits);
    tcase_add_test(tcase, a_killed_owner_is_followed_at_once);
    tcase_add_test(tcase, an_owner_nobody_reaped_is_dead_too);
    tcase_add_test(tcase, a_killed_owner_is_noticed_while_waiting);
    tcase_add_test(tcase,
                   a_death_seen_by_the_figures_is_still_seen_by_writers);
    tcase_add_test(tcase, a_place_taken_again_does_not_hide_a_death);
    tcase_add_test(tcase, one_of_many_waiters_takes_over);
    tcase_add_test(tcase, the_owner_is_a_thread_not_a_process);
    tcase_add_test(tcase, a_word_that_names_no_entry_is_a_dead_one);

    tcase = kvt_case(suite, "signal handlers");
    tcase_add_checked_fixture(tcase, set_up_patient, tear_down);
    tcase_add_test(tcase,
                   a_handler_that_interrupts_its_own_write_is_busy_at_once);
    tcase_add_test(tcase,
                   a_handler_may_end_the_process_in_the_middle_of_a_write);
    tcase_add_test(tcase, who_detaches_while_holding_a_lock_has_left_it);
    tcase_add_test(tcase, handlers_and_their_thread_never_deadlock);
    return kvt_run(suite);
}
