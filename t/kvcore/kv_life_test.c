/* kv_life_test.c - who is alive: threads and processes that live, leave, die,
 * stop, and are caught at it.
 */

#include "kvt.h"

#include "kv_life.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static kv_life_t *life;
static _Atomic int *word;
static _Atomic uint64_t *theirs;    /* a child's incarnation */

static void set_up(void)
{
    life = kvt_shared(sizeof(*life));
    word = kvt_shared(4096);
    theirs = kvt_shared(4096);
    ck_assert(kv_life_init(life));
}

/* A process that lives there, until it is killed. */
static pid_t fork_alive(void)
{
    atomic_store(word, 0);
    pid_t pid = kvt_fork();
    if (pid == 0) {
        uint64_t mine;
        kvt_child_check(kv_life_take(life, &mine));
        atomic_store(theirs, mine);
        atomic_store(word, 1);
        for (;;) {
            pause();
        }
    }
    kvt_wait_word(word, 1);
    return pid;
}

static void end(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
}

START_TEST(a_life_is_one_threads)
{
    uint64_t first;
    uint64_t second = 77;
    ck_assert(kv_life_vacant(life));
    ck_assert(kv_life_take(life, &first));
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(life->pid, (uint64_t)getpid());
    ck_assert(!kv_life_vacant(life));
    ck_assert(!kv_life_take(life, &second));
    ck_assert_uint_eq(second, 77);
    ck_assert(!kv_life_dead(life, first));
    ck_assert_int_eq(kv_life_catch(life, first), KV_LIFE_ALIVE);
    kv_life_leave(life);
    ck_assert_uint_eq(life->pid, 0);
    ck_assert(kv_life_vacant(life));
    ck_assert(kv_life_dead(life, first));
    ck_assert(kv_life_take(life, &second));
    ck_assert_uint_eq(second, 2);
    kv_life_leave(life);
}
END_TEST

START_TEST(incarnations_wrap_within_their_48_bits)
{
    uint64_t mine;
    life->incarnation = KV_INCARNATION_MASK - 1;
    ck_assert(kv_life_take(life, &mine));
    ck_assert_uint_eq(mine, KV_INCARNATION_MASK);
    kv_life_leave(life);
    ck_assert(kv_life_take(life, &mine));
    ck_assert_uint_eq(mine, 0);
    ck_assert(kv_life_dead(life, KV_INCARNATION_MASK));
    ck_assert(!kv_life_dead(life, 0));
    kv_life_leave(life);
}
END_TEST

START_TEST(another_incarnation_is_dead_whoever_lives_there)
{
    uint64_t mine;
    ck_assert(kv_life_take(life, &mine));
    ck_assert_int_eq(kv_life_catch(life, mine - 1), KV_LIFE_OTHER);
    ck_assert(kv_life_dead(life, mine - 1));
    ck_assert(kv_life_dead(life, mine + 1));
    kv_life_leave(life);
}
END_TEST

START_TEST(who_is_caught_has_no_successor_until_he_is_let_go)
{
    uint64_t mine;
    pid_t pid = fork_alive();
    ck_assert_int_eq(kv_life_catch(life, *theirs), KV_LIFE_ALIVE);
    end(pid);
    ck_assert_int_eq(kv_life_catch(life, *theirs), KV_LIFE_CAUGHT);
    ck_assert(!kv_life_take(life, &mine));
    ck_assert(!kv_life_vacant(life));
    ck_assert_int_eq(kv_life_catch(life, *theirs), KV_LIFE_ALIVE);
    kv_life_let_go(life);
    ck_assert(kv_life_take(life, &mine));
    ck_assert_uint_eq(mine, *theirs + 1);
    kv_life_leave(life);
}
END_TEST

START_TEST(a_death_is_there_for_everybody_who_asks)
{
    end(fork_alive());
    for (int i = 0; i < 3; i++) {
        ck_assert(kv_life_dead(life, *theirs));
        ck_assert(kv_life_vacant(life));
    }
}
END_TEST

START_TEST(a_zombie_is_dead)
{
    siginfo_t info;
    pid_t pid = fork_alive();
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(kill(pid, 0), 0);
    ck_assert(kv_life_dead(life, *theirs));
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
}
END_TEST

START_TEST(a_stopped_process_is_alive)
{
    int status;
    pid_t pid = fork_alive();
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    ck_assert(!kv_life_dead(life, *theirs));
    ck_assert(!kv_life_vacant(life));
    end(pid);
    ck_assert(kv_life_dead(life, *theirs));
}
END_TEST

static void *live_shortly(void *argument)
{
    return kv_life_take(life, argument) ? argument : NULL;
}

START_TEST(a_thread_that_ends_is_dead)
{
    pthread_t thread;
    uint64_t its = 0;
    void *took;
    ck_assert_int_eq(pthread_create(&thread, NULL, live_shortly, &its), 0);
    ck_assert_int_eq(pthread_join(thread, &took), 0);
    ck_assert_ptr_ne(took, NULL);
    ck_assert(kv_life_dead(life, its));
}
END_TEST

START_TEST(a_forked_child_is_not_its_parent)
{
    uint64_t mine;
    ck_assert(kv_life_take(life, &mine));
    pid_t pid = kvt_fork();
    if (pid == 0) {
        uint64_t its;
        kvt_child_check(!kv_life_take(life, &its));
        kvt_child_check(!kv_life_dead(life, mine));
        kvt_child_end(true);
    }
    ck_assert_int_eq(kvt_wait(pid), 0);
    ck_assert(!kv_life_dead(life, mine));
    kv_life_leave(life);
}
END_TEST

START_TEST(who_dies_while_he_has_caught_another_is_followed)
{
    end(fork_alive());
    pid_t pid = kvt_fork();
    if (pid == 0) {
        kvt_child_check(kv_life_catch(life, *theirs) == KV_LIFE_CAUGHT);
        raise(SIGKILL);
    }
    ck_assert_int_eq(kvt_wait(pid), -SIGKILL);
    ck_assert_int_eq(kv_life_catch(life, *theirs), KV_LIFE_CAUGHT);
    kv_life_let_go(life);
    ck_assert(kv_life_vacant(life));
}
END_TEST

/* Many take, leave and die; never do two live there at a time. */
START_TEST(of_many_who_want_it_one_lives_there)
{
    enum { MANY = 6, TURNS = 4000 / KVT_SLOWER };
    pid_t pid[MANY];
    for (int i = 0; i < MANY; i++) {
        pid[i] = kvt_fork();
        if (pid[i] == 0) {
            uint64_t last = 0;
            for (int n = 0; n < TURNS; n++) {
                uint64_t mine;
                if (kv_life_take(life, &mine)) {
                    kvt_child_check(atomic_fetch_add(word, 1) == 0);
                    kvt_child_check(mine > last);
                    last = mine;
                    kvt_child_check(atomic_fetch_sub(word, 1) == 1);
                    kv_life_leave(life);
                } else {
                    kv_life_dead(life, last);
                }
            }
            kvt_child_end(true);
        }
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(kvt_wait(pid[i]), 0);
    }
    ck_assert(kv_life_vacant(life));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv_life");
    TCase *tcase = kvt_case(suite, "lives");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_life_is_one_threads);
    tcase_add_test(tcase, incarnations_wrap_within_their_48_bits);
    tcase_add_test(tcase, another_incarnation_is_dead_whoever_lives_there);
    tcase_add_test(tcase, who_is_caught_has_no_successor_until_he_is_let_go);
    tcase_add_test(tcase, a_death_is_there_for_everybody_who_asks);
    tcase_add_test(tcase, a_zombie_is_dead);
    tcase_add_test(tcase, a_stopped_process_is_alive);
    tcase_add_test(tcase, a_thread_that_ends_is_dead);
    tcase_add_test(tcase, a_forked_child_is_not_its_parent);
    tcase_add_test(tcase, who_dies_while_he_has_caught_another_is_followed);
    tcase_add_test(tcase, of_many_who_want_it_one_lives_there);
    return kvt_run(suite);
}
